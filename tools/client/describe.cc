#include "tools/client/describe.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include <memory>

#include "base/escape.h"
#include "examples/proto/msg.pb.h"
#include "fmt/format.h"

namespace mgclient {
namespace {

using google::protobuf::TextFormat;

constexpr std::size_t kMaxShown = 16384;  // Octets of a text, or of a body in hex.

// Texts as they are, Chinese too, but for what could steer the terminal.
class FieldPrinter : public TextFormat::FastFieldValuePrinter {
 public:
  void PrintString(const std::string& text, TextFormat::BaseTextGenerator* out) const override {
    out->PrintString(mg::quote(text, kMaxShown));
  }
  void PrintBytes(const std::string& text, TextFormat::BaseTextGenerator* out) const override {
    PrintString(text, out);
  }
};

// The message S2C_<cmd>; null: there is none.
std::unique_ptr<google::protobuf::Message> make_message(std::uint32_t cmd) {
  const auto* file = msg::S2C_10001::descriptor()->file();
  const auto* type = file->FindMessageTypeByName(fmt::format("S2C_{}", cmd));
  if (type == nullptr) return nullptr;
  return std::unique_ptr<google::protobuf::Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

std::string hex(std::string_view body) {
  std::string out = fmt::format("{} octets ", body.size());
  for (const char c : body.substr(0, kMaxShown)) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  if (body.size() > kMaxShown) out += "...";
  return out;
}

}  // namespace

std::string describe(std::uint32_t cmd, std::string_view body) {
  const auto message = make_message(cmd);
  if (message == nullptr || !message->ParseFromArray(body.data(), static_cast<int>(body.size()))) return hex(body);
  TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  printer.SetDefaultFieldValuePrinter(new FieldPrinter);  // The printer owns it.
  std::string text;
  printer.PrintToString(*message, &text);
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace mgclient
