#include "tools/protoc_gen_rpc/faults.h"

#include <google/protobuf/descriptor.pb.h>

namespace rpcgen {
namespace {

namespace pb = google::protobuf;

// The element's own path, without its name.
Path path_of(const pb::Descriptor* message) {
  if (const pb::Descriptor* around = message->containing_type()) {
    Path path = path_of(around);
    path.insert(path.end(), {pb::DescriptorProto::kNestedTypeFieldNumber, message->index()});
    return path;
  }
  return {pb::FileDescriptorProto::kMessageTypeFieldNumber, message->index()};
}

Path path_of(const pb::EnumDescriptor* type) {
  if (const pb::Descriptor* around = type->containing_type()) {
    Path path = path_of(around);
    path.insert(path.end(), {pb::DescriptorProto::kEnumTypeFieldNumber, type->index()});
    return path;
  }
  return {pb::FileDescriptorProto::kEnumTypeFieldNumber, type->index()};
}

Path plus(Path path, std::initializer_list<int> more) {
  path.insert(path.end(), more);
  return path;
}

}  // namespace

Path name_path(const pb::Descriptor* message) {
  return plus(path_of(message), {pb::DescriptorProto::kNameFieldNumber});
}
Path name_path(const pb::EnumDescriptor* type) {
  return plus(path_of(type), {pb::EnumDescriptorProto::kNameFieldNumber});
}
Path name_path(const pb::ServiceDescriptor* service) {
  return {pb::FileDescriptorProto::kServiceFieldNumber, service->index(), pb::ServiceDescriptorProto::kNameFieldNumber};
}
Path name_path(const pb::MethodDescriptor* method) {
  return {pb::FileDescriptorProto::kServiceFieldNumber, method->service()->index(),
          pb::ServiceDescriptorProto::kMethodFieldNumber, method->index(), pb::MethodDescriptorProto::kNameFieldNumber};
}
Path name_path(const pb::FieldDescriptor* field) {
  return plus(path_of(field->containing_type()),
              {pb::DescriptorProto::kFieldFieldNumber, field->index(), pb::FieldDescriptorProto::kNameFieldNumber});
}
Path name_path(const pb::EnumValueDescriptor* value) {
  return plus(path_of(value->type()), {pb::EnumDescriptorProto::kValueFieldNumber, value->index(),
                                       pb::EnumValueDescriptorProto::kNameFieldNumber});
}

Place place_of(const pb::FileDescriptor* file, Path path) {
  pb::SourceLocation location;
  for (; !path.empty(); path.pop_back()) {
    if (file->GetSourceLocation(path, &location)) {
      return {file->name(), location.start_line + 1, location.start_column + 1};
    }
  }
  return {file->name(), 1, 1};
}

std::string Faults::text() const {
  std::string text;
  for (const std::string& fault : all_) text += (text.empty() ? "" : "\n") + fault;
  return text;
}

}  // namespace rpcgen
