// tools/protoc_gen_rpc/faults.h -- what is wrong with a .proto, and where.
//
//   Faults faults;
//   faults.add(place_of(file, {kService, 0, kMethod, 2, kName}), "method {}: ...", name);
//   return faults.text();       // "game.proto:12:7: method ...", one a line
#pragma once

#include <fmt/core.h>
#include <google/protobuf/descriptor.h>

#include <string>
#include <utility>
#include <vector>

namespace rpcgen {

// Where something stands. Shape: line and column count from 1.
struct Place {
  std::string file;
  int line = 1;
  int column = 1;
};

// Steps to an element, as descriptor.proto numbers them. Source: SourceCodeInfo.Location.path.
using Path = std::vector<int>;

// The place of an element; where the parser kept none, of the nearest one around it.
Place place_of(const google::protobuf::FileDescriptor* file, Path path);

// The path of an element's name; the element itself is what is left without the last step.
Path name_path(const google::protobuf::Descriptor* message);
Path name_path(const google::protobuf::EnumDescriptor* type);
Path name_path(const google::protobuf::ServiceDescriptor* service);
Path name_path(const google::protobuf::MethodDescriptor* method);
Path name_path(const google::protobuf::FieldDescriptor* field);
Path name_path(const google::protobuf::EnumValueDescriptor* value);

template <class Element>
Place name_place(const Element* element) {
  return place_of(element->file(), name_path(element));
}
inline Place name_place(const google::protobuf::FieldDescriptor* field) {
  return place_of(field->file(), name_path(field));
}
inline Place name_place(const google::protobuf::EnumValueDescriptor* value) {
  return place_of(value->type()->file(), name_path(value));
}

class Faults {
 public:
  template <class... Args>
  void add(const Place& place, fmt::format_string<Args...> format, Args&&... args) {
    all_.push_back(fmt::format("{}:{}:{}: ", place.file, place.line, place.column) +
                   fmt::format(format, std::forward<Args>(args)...));
  }
  // One that has no place in a .proto.
  void add(std::string text) { all_.push_back(std::move(text)); }

  bool empty() const { return all_.empty(); }
  std::string text() const;

 private:
  std::vector<std::string> all_;
};

}  // namespace rpcgen
