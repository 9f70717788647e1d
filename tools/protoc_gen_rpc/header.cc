#include "tools/protoc_gen_rpc/header.h"

#include <fmt/format.h>
#include <google/protobuf/compiler/code_generator.h>

#include <algorithm>
#include <utility>

#include "tools/protoc_gen_rpc/names.h"

namespace rpcgen {
namespace {

// Text, line after line, indented.
class Writer {
 public:
  static constexpr std::size_t kColumns = 120;

  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    put(fmt::format(format, std::forward<Args>(args)...));
  }
  void line() { text_ += '\n'; }
  // head, items, tail in one line; or an item a line, below the first one, where that is too long.
  void list(const std::string& head, const std::vector<std::string>& items, const std::string& tail) {
    std::string all = fmt::format("{}{}{}", head, fmt::join(items, ", "), tail);
    if (fits(all)) return put(all);
    for (std::size_t i = 0; i < items.size(); ++i) {
      put((i == 0 ? head : std::string(head.size(), ' ')) + items[i] + (i + 1 < items.size() ? "," : tail));
    }
  }
  bool fits(const std::string& line) const { return indent_ + line.size() <= kColumns; }
  void comment(const std::vector<std::string>& lines) {
    for (const std::string& one : lines) put("//" + one);
  }
  void in() { indent_ += 2; }
  void out() { indent_ -= 2; }
  std::string take() { return std::move(text_); }

 private:
  void put(const std::string& line) {
    if (!line.empty()) text_.append(indent_, ' ').append(line);
    text_ += '\n';
  }
  std::string text_;
  std::size_t indent_ = 0;
};

// ::game::In -> game::In, for words to people.
std::string_view plain(std::string_view type) {
  return type.substr(type.starts_with("::") ? 2 : 0);
}

// "push(const mg::rpc::Context&, const gate::InGatePush&, gate::OutGatePush&)", with names where `named`.
std::string signature(const Method& method, bool commands, bool named) {
  const auto name = [named](const char* text) { return named ? std::string(" ") + text : std::string(); };
  if (method.stream) {
    return fmt::format("{}(const mg::rpc::Context&{}, mg::rpc::Stream<{}, {}>{})", method.function, name("context"),
                       plain(method.request), plain(method.reply), name("stream"));
  }
  return fmt::format("{}({}, const {}&{}, {}&{})", method.function,
                     commands ? "mg::AgentMeta&" + name("player") : "const mg::rpc::Context&" + name("context"),
                     plain(method.request), name("in"), plain(method.reply), name("out"));
}

void write_constants(Writer& out, const Service& service) {
  for (const Method& method : service.methods) {
    out.comment(method.comment);
    if (service.commands) {
      out.line("static constexpr std::uint32_t k{} = {};", method.name, method.command);
    } else {
      out.line("static constexpr std::string_view k{} = \"{}.{}\";", method.name, service.name, method.name);
    }
  }
}

// What makes a class without the method fail to compile, with words.
void write_check(Writer& out, const Service& service, const Method& method) {
  out.line("static_assert(");
  out.in();
  out.in();
  if (service.commands) {
    out.list(fmt::format("requires {{ requires ::mg::protocol::detail::handles<&Object::{}, ", method.function),
             {method.request, method.reply}, ">(); },");
  } else if (method.stream) {
    out.list("requires(",
             {"const ::mg::rpc::Context& context",
              fmt::format("::mg::rpc::Stream<{}, {}> stream", method.request, method.reply)},
             ") {");
    out.line("  {{ object.{}(context, stream) }} -> std::same_as<::mg::Task<::mg::Result<void>>>;", method.function);
    out.line("}},");
  } else {
    out.list("requires(",
             {"const ::mg::rpc::Context& context", fmt::format("const {}& in", method.request),
              fmt::format("{}& out", method.reply)},
             ") {");
    out.line("  {{ object.{}(context, in, out) }} -> ::mg::rpc::HandlerResult;", method.function);
    out.line("}},");
  }
  out.line("\"{} needs a public method {} of the object: {}mg::Task<mg::Result<void>> \"", service.name,
           method.function, method.stream ? "" : "mg::Result<void> or ");
  out.line("\"{}\");", signature(method, service.commands, false));
  out.out();
  out.out();
}

void write_add_to(Writer& out, const Service& service) {
  out.line(
      "// Serves these methods of `object`. `to`: an mg::App, whose start fails where this does, or "
      "mg::rpc::Handlers,");
  out.line(
      "// and then this returns the error. Lifetime: `object` outlives `to`. Threads: methods are called on any loop, "
      "on");
  out.line("// several at once.");
  out.line("template <class To, class Object>");
  out.line("static auto add_to(To& to, Object& object) {{");
  out.in();
  for (const Method& method : service.methods) write_check(out, service, method);
  out.line("return ::mg::rpc::add_handlers(");
  out.in();
  out.in();
  out.line("to,");
  for (const Method& method : service.methods) {
    const std::string types = fmt::format("::mg::rpc::{}<{}, {}>(", method.stream ? "stream_handler" : "handler",
                                          method.request, method.reply);
    const std::string call = fmt::format("k{}, [&object](auto&... all) {{ return object.{}(all...); }}){}", method.name,
                                         method.function, &method == &service.methods.back() ? ");" : ",");
    if (out.fits(types + call)) {
      out.line("{}{}", types, call);
    } else {
      out.line("{}", types);
      out.line("    {}", call);
    }
  }
  out.out();
  out.out();
  out.out();
  out.line("}}");
  out.line("template <class To, class Object>");
  out.line("static auto add_to(To& to, const Object&& object) = delete;  // It would not live long enough.");
}

void write_client(Writer& out, const Service& service) {
  out.line(
      "// Calls them. Made of an mg::App or an mg::rpc::Client, and the name under which the service's nodes "
      "register.");
  out.line(
      "// Each takes (context, in, out): any node; (uuid, context, in, out): that node; (meta, in, out): the node "
      "that");
  out.line("// made `meta`. Errors, Lifetime, Threads: mg/rpc/stub.h.");
  out.line("class Client : public ::mg::rpc::Stub {{");
  out.line(" public:");
  out.in();
  out.line("using ::mg::rpc::Stub::Stub;");
  for (const Method& method : service.methods) {
    out.line();
    out.comment(method.comment);
    if (method.deprecated) out.line("[[deprecated]]");
    out.list(fmt::format("const ::mg::rpc::{}<", method.stream ? "StubStream" : "StubMethod"),
             {method.request, method.reply}, fmt::format("> {}{{*this, k{}}};", method.function, method.name));
  }
  out.out();
  out.line("}};");
}

void write_routes(Writer& out, const Service& service) {
  out.line("// The methods of a handler class, for mg::protocol::Router.");
  out.line("template <class Object>");
  out.line("static constexpr auto routes() {{");
  out.in();
  for (const Method& method : service.methods) write_check(out, service, method);
  std::vector<std::string> methods;
  for (const Method& method : service.methods) methods.push_back("&Object::" + method.function);
  out.list("return ::mg::protocol::Routes<", methods, ">();");
  out.out();
  out.line("}}");
  out.line();
  out.line("// Base of a handler class: Router::add_route() then takes all of its commands.");
  out.line("struct Handler {{");
  out.line("  using CommandService = {};", service.name);
  out.line("}};");
  out.line();
  out.line("// The same for a class without that base, or one that handles several services.");
  out.line("template <class Router, class Object>");
  out.line("static Router& add_to(Router& router, Object& object) {{");
  out.line("  return router.add_route(object, routes<Object>());");
  out.line("}}");
  out.line("template <class Router, class Object>");
  out.line("static Router& add_to(Router& router, const Object&& object) = delete;  // It would not live long enough.");
}

void write_service(Writer& out, const Service& service) {
  out.comment(service.comment);
  if (!service.methods.empty()) {
    if (!service.comment.empty()) out.line("//");
    out.line("// {} these methods, each giving mg::Result<void> or mg::Task<mg::Result<void>>{}:",
             service.commands ? "A handler class, derived from Handler, has" : "A class that serves it has",
             std::ranges::any_of(service.methods, &Method::stream) ? " (streams: a Task)" : "");
  }
  for (const Method& method : service.methods) out.line("//   {};", signature(method, service.commands, true));
  out.line("struct {}{} {{", service.deprecated ? "[[deprecated]] " : "", service.name);
  out.in();
  out.line("{}() = delete;", service.name);
  if (!service.methods.empty()) {
    out.line();
    write_constants(out, service);
    out.line();
    if (service.commands) {
      write_routes(out, service);
    } else {
      write_add_to(out, service);
      out.line();
      write_client(out, service);
    }
  }
  out.out();
  out.line("}};");
  out.line();
}

}  // namespace

std::string header_name(std::string_view proto_file) {
  return google::protobuf::compiler::StripProto(std::string(proto_file)) + ".rpc.pb.h";
}

std::string header_text(const google::protobuf::FileDescriptor* file, const std::vector<Service>& services,
                        const Options& options) {
  const bool commands = std::ranges::any_of(services, &Service::commands);
  const bool calls = !std::ranges::all_of(services, &Service::commands);
  Writer out;
  out.line("// {} -- the services of {}. Made by protoc-gen-rpc: do not edit.", header_name(file->name()),
           file->name());
  out.line("#pragma once");
  out.line();
  if (calls) out.line("#include <concepts>");
  if (commands) out.line("#include <cstdint>");
  if (calls) out.line("#include <string_view>");
  if (commands || calls) out.line();
  out.line("#include \"{}.pb.h\"", google::protobuf::compiler::StripProto(file->name()));
  if (commands) out.line("#include \"mg/protocol/routes.h\"");
  if (calls) out.line("#include \"mg/rpc/stub.h\"");
  out.line();
  std::string scope = namespace_of(file);
  if (!options.scope.empty()) scope += (scope.empty() ? "" : "::") + options.scope;
  if (services.empty()) return out.take();
  if (!scope.empty()) {
    out.line("namespace {} {{", scope);
    out.line();
  }
  for (const Service& service : services) write_service(out, service);
  if (!scope.empty()) out.line("}}  // namespace {}", scope);
  return out.take();
}

}  // namespace rpcgen
