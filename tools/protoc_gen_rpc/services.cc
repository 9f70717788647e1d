#include "tools/protoc_gen_rpc/services.h"

#include <google/protobuf/compiler/cpp/names.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <map>

#include "tools/protoc_gen_rpc/names.h"

namespace rpcgen {
namespace {

namespace pb = google::protobuf;

// Lines of a comment, without what ends them. A backslash there would join the next line to the comment.
void add_lines(const std::string& text, std::vector<std::string>& lines) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    const std::size_t last = line.find_last_not_of(" \t\r\\");
    line.resize(last == line.npos ? 0 : last + 1);
    lines.push_back(std::move(line));
    at = end + 1;
  }
}

template <class Element>
std::vector<std::string> comment_of(const Element* element) {
  std::vector<std::string> lines;
  pb::SourceLocation location;
  if (!element->GetSourceLocation(&location)) return lines;
  add_lines(location.leading_comments, lines);
  add_lines(location.trailing_comments, lines);
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

// Names of types that protobuf puts into the file's namespace.
void collect_types(const pb::Descriptor* message, std::map<std::string, std::string>& types) {
  types.emplace(pb::compiler::cpp::ClassName(message), message->full_name());
  for (int i = 0; i < message->nested_type_count(); ++i) collect_types(message->nested_type(i), types);
  for (int i = 0; i < message->enum_type_count(); ++i) {
    types.emplace(pb::compiler::cpp::ClassName(message->enum_type(i)), message->enum_type(i)->full_name());
  }
}

void check_service(const pb::ServiceDescriptor* service, const Options& options,
                   const std::map<std::string, std::string>& types, Faults& faults) {
  const std::string& name = service->name();
  const Place place = name_place(service);
  if (is_taken(name)) {
    faults.add(place, "service {}: its name is a keyword of C++; rename it", name);
  } else if (is_reserved(name)) {
    faults.add(place, "service {}: C++ reserves such names (two underscores, or one and a capital); rename it", name);
  } else if (name == "Client" || name == "Handler") {
    faults.add(place, "service {}: the generated code has a class {} in each service; rename it", name, name);
  } else if (const auto type = types.find(name); type != types.end() && options.scope.empty()) {
    faults.add(place, "service {}: {} has the same name in C++; rename it, or use --rpc_opt=namespace=NAME", name,
               type->second);
  } else if (service->file()->options().cc_generic_services() && options.scope.empty()) {
    faults.add(place,
               "service {}: option cc_generic_services makes a class of this name; remove it, or use "
               "--rpc_opt=namespace=NAME",
               name);
  }
}

// protobuf's own code does not compile with such a package either.
void check_package(const pb::FileDescriptor* file, Faults& faults) {
  const std::string_view package = file->package();
  for (std::size_t at = 0; at < package.size();) {
    const std::size_t end = std::min(package.find('.', at), package.size());
    const std::string_view part = package.substr(at, end - at);
    if (is_keyword(part)) {
      faults.add(place_of(file, {pb::FileDescriptorProto::kPackageFieldNumber}),
                 "package {}: {} is a keyword of C++; rename it", package, part);
    }
    at = end + 1;
  }
}

// A method of a service that others call.
void check_method(const pb::MethodDescriptor* method, const Options& options, Method& made,
                  std::map<std::string, std::string>& functions, Faults& faults) {
  const Place place = name_place(method);
  made.function = snake_case(method->name());
  if (is_taken(made.function)) {
    if (!options.underscore) {
      faults.add(place,
                 "method {}: its C++ name {} is taken (a keyword or a macro); rename it, or use "
                 "--rpc_opt=names=underscore to call it {}_",
                 method->full_name(), made.function, made.function);
    }
    made.function += '_';
  }
  if (is_reserved(made.function) || is_reserved(method->name())) {
    faults.add(place, "method {}: C++ reserves such names (two underscores, or one and a capital); rename it",
               method->full_name());
  }
  const auto [same, is_new] = functions.emplace(made.function, method->name());
  if (!is_new) {
    faults.add(place, "method {}: {} is called {} in C++, too; rename one of them", method->full_name(), same->second,
               made.function);
  }
}

// A method of a command service.
void check_command(const pb::MethodDescriptor* method, Method& made, std::map<std::uint32_t, std::string>& commands,
                   Faults& faults) {
  const Place place = name_place(method);
  const std::string& name = method->full_name();
  const CommandName parsed = parse_command_name(method->name());
  made.function = method->name();
  made.command = parsed.command;
  if (!parsed.is_command) {
    faults.add(place,
               "method {}: other methods of this service are commands (Name_<number>), this one is not; put it into a "
               "service of its own",
               name);
    return;
  }
  if (!parsed.fault.empty()) {
    faults.add(place, "method {}: {}", name, parsed.fault);
    return;
  }
  if (made.stream) faults.add(place, "method {}: a command takes one message and gives one; it cannot stream", name);
  const auto [same, is_new] = commands.emplace(parsed.command, method->name());
  if (!is_new) {
    faults.add(place, "method {}: command {} is {}'s already", name, parsed.command, same->second);
  }
}

}  // namespace

CommandName parse_command_name(std::string_view name) {
  CommandName parsed;
  const std::size_t last = name.rfind('_');
  if (last == name.npos) return parsed;
  const std::string_view digits = name.substr(last + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (digits.empty() || !std::ranges::all_of(digits, is_digit)) return parsed;
  parsed.is_command = true;
  if (last == 0) {
    parsed.fault = "a command needs a name before its number: Name_<number>";
  } else if (name.find('_') != last) {
    parsed.fault = "a command's name has exactly one underscore: Name_<number>";
  }
  std::uint64_t command = 0;
  for (const char digit : digits) {
    command = command * 10 + static_cast<std::uint64_t>(digit - '0');
    if (command > 0xFFFF'FFFF) {
      parsed.fault = "a command is a number up to 4294967295";
      break;
    }
  }
  parsed.command = static_cast<std::uint32_t>(command);
  return parsed;
}

bool is_command_service(const pb::ServiceDescriptor* service) {
  for (int i = 0; i < service->method_count(); ++i) {
    if (parse_command_name(service->method(i)->name()).is_command) return true;
  }
  return false;
}

std::vector<Service> read_services(const pb::FileDescriptor* file, const Options& options, Faults& faults) {
  std::map<std::string, std::string> types;
  for (int i = 0; i < file->message_type_count(); ++i) collect_types(file->message_type(i), types);
  std::vector<Service> services;
  if (file->service_count() > 0) check_package(file, faults);
  for (int s = 0; s < file->service_count(); ++s) {
    const pb::ServiceDescriptor* const service = file->service(s);
    check_service(service, options, types, faults);
    Service made{.name = service->name(),
                 .comment = comment_of(service),
                 .commands = is_command_service(service),
                 .deprecated = service->options().deprecated(),
                 .methods = {}};
    std::map<std::string, std::string> functions;
    std::map<std::uint32_t, std::string> commands;
    for (int m = 0; m < service->method_count(); ++m) {
      const pb::MethodDescriptor* const method = service->method(m);
      Method one{.name = method->name(),
                 .function = {},
                 .request = pb::compiler::cpp::QualifiedClassName(method->input_type()),
                 .reply = pb::compiler::cpp::QualifiedClassName(method->output_type()),
                 .comment = comment_of(method),
                 .stream = method->client_streaming() || method->server_streaming(),
                 .client_streams = method->client_streaming(),
                 .server_streams = method->server_streaming(),
                 .deprecated = method->options().deprecated()};
      if (made.commands) {
        check_command(method, one, commands, faults);
      } else {
        check_method(method, options, one, functions, faults);
      }
      made.methods.push_back(std::move(one));
    }
    services.push_back(std::move(made));
  }
  return services;
}

}  // namespace rpcgen
