// tools/protoc_gen_rpc/services.h -- the services of a file, checked and named as the generated code names them.
//
//   Faults faults;
//   std::vector<Service> services = read_services(file, options, faults);
//   if (faults.empty()) write_header(file, services, options);
#pragma once

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/protoc_gen_rpc/faults.h"
#include "tools/protoc_gen_rpc/options.h"

namespace rpcgen {

struct Method {
  std::string name;      // As in the .proto.
  std::string function;  // In C++.
  std::string request;   // Types in C++: ::game::InForwardProtocol.
  std::string reply;
  std::vector<std::string> comment;  // Lines, as they stand behind the "//".
  std::uint32_t command = 0;         // Of a command service's method.
  bool stream = false;               // In either direction.
  bool client_streams = false;
  bool server_streams = false;
  bool deprecated = false;
};

struct Service {
  std::string name;
  std::vector<std::string> comment;
  bool commands = false;  // Its methods are named Name_<cmd>.
  bool deprecated = false;
  std::vector<Method> methods;
};

// The command of a method named Name_<cmd>. `is_command` says whether the name ends like one; only if `fault` is empty
// it is one.
struct CommandName {
  bool is_command = false;
  std::uint32_t command = 0;
  std::string fault;
};
CommandName parse_command_name(std::string_view name);

// Whether all methods are meant as commands: at least one of them is named so.
bool is_command_service(const google::protobuf::ServiceDescriptor* service);

// What is wrong goes to `faults`; the services are good only when that stays empty.
std::vector<Service> read_services(const google::protobuf::FileDescriptor* file, const Options& options,
                                   Faults& faults);

}  // namespace rpcgen
