#include "tools/protoc_gen_rpc/generator.h"

#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <memory>
#include <utility>

#include "tools/protoc_gen_rpc/baseline.h"
#include "tools/protoc_gen_rpc/faults.h"
#include "tools/protoc_gen_rpc/header.h"
#include "tools/protoc_gen_rpc/options.h"
#include "tools/protoc_gen_rpc/services.h"

namespace rpcgen {

bool Generator::GenerateAll(const std::vector<const google::protobuf::FileDescriptor*>& files,
                            const std::string& parameter, google::protobuf::compiler::GeneratorContext* context,
                            std::string* error) const {
  const mg::Result<Options> options = parse_options(parameter);
  if (!options) {
    *error = options.error().detail;
    return false;
  }
  Faults faults;
  std::vector<std::pair<std::string, std::string>> made;  // Name and text.
  for (const google::protobuf::FileDescriptor* file : files) {
    const std::vector<Service> services = read_services(file, *options, faults);
    if (faults.empty()) made.emplace_back(header_name(file->name()), header_text(file, services, *options));
  }
  if (!options->baseline.empty()) check_baseline(files, *options, faults);
  if (!faults.empty()) {
    *error = "refused:\n" + faults.text();  // So that each fault begins a line.
    return false;
  }
  if (options->check) return true;
  for (const auto& [name, text] : made) {
    const std::unique_ptr<google::protobuf::io::ZeroCopyOutputStream> out(context->Open(name));
    google::protobuf::io::Printer printer(out.get(), '\0');
    printer.PrintRaw(text);
  }
  return true;
}

}  // namespace rpcgen
