#include "mg/utils/errors/chain.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <string_view>

namespace mg::errors {
namespace {

constexpr std::size_t kMaxFrames = 48;

bool stacks_in_environment() {
  const char* value = std::getenv("GAME_ERROR_STACK");
  const std::string_view text = value != nullptr ? value : "";
  return text == "1" || text == "t" || text == "T" || text == "true" || text == "True" || text == "TRUE";
}

std::atomic<bool>& stacks() {
  static std::atomic<bool> wanted{stacks_in_environment()};
  return wanted;
}

std::string demangled(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(abi::__cxa_demangle(symbol, nullptr, nullptr, &status),
                                                         &std::free);
  return name != nullptr ? name.get() : symbol;
}

std::ptrdiff_t distance(const void* from, const void* to) {
  return static_cast<const char*>(to) - static_cast<const char*>(from);
}

}  // namespace

std::string to_text(const Error& error) {
  // The same escapes as on the wire: a field at a time, as to_json leaves empty ones out.
  const auto quoted = [](const std::string& text) {
    const std::string json = to_json(Error{{}, 0, text, {}});
    constexpr std::string_view kHead = R"({"detail":)";
    return json == "{}" ? R"("")" : json.substr(kHead.size(), json.size() - kHead.size() - 1);
  };
  return fmt::format(R"({{"code":{},"status":{},"detail":{}}})", error.code, quoted(error.status),
                     quoted(error.detail));
}

[[gnu::noinline]] Stack Stack::here(int skip) {
  std::array<void*, kMaxFrames> frames{};
  const int count = backtrace(frames.data(), static_cast<int>(frames.size()));
  Stack stack;
  if (const int first = skip + 1; count > first) stack.frames_.assign(frames.begin() + first, frames.begin() + count);
  return stack;
}

std::string Stack::text() const {
  std::string out;
  for (std::size_t i = 0; i < frames_.size(); ++i) {
    const void* const at = frames_[i];
    Dl_info info{};
    if (dladdr(at, &info) == 0 || info.dli_fname == nullptr) {
      out += fmt::format("  #{} {}\n", i, fmt::ptr(at));
      continue;
    }
    std::string_view file(info.dli_fname);
    if (const auto slash = file.rfind('/'); slash != file.npos) file.remove_prefix(slash + 1);
    if (info.dli_sname != nullptr) {
      out += fmt::format("  #{} {} + {:#x} in {}\n", i, demangled(info.dli_sname), distance(info.dli_saddr, at), file);
    } else {
      out += fmt::format("  #{} {}({:#x})\n", i, file, distance(info.dli_fbase, at));
    }
  }
  return out;
}

bool stacks_wanted() {
  return stacks().load(std::memory_order_relaxed);
}

void want_stacks(bool wanted) {
  stacks().store(wanted, std::memory_order_relaxed);
}

Chain::Chain(Error cause) : cause_(std::move(cause)) {
  if (stacks_wanted()) stack_ = Stack::here(1);
}

std::string Chain::text() const {
  std::string out;
  for (auto context = contexts_.rbegin(); context != contexts_.rend(); ++context) out += *context + " : ";
  return out += to_text(cause_);
}

std::string format(const Chain& chain) {
  std::string out = to_text(chain.cause());
  for (const std::string& context : chain.contexts()) out += "\n  while " + context;
  if (!chain.stack().empty()) {
    out += "\nstack\n" + chain.stack().text();
    out.pop_back();
  }
  return out;
}

}  // namespace mg::errors
