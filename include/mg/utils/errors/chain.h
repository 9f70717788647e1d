// mg/utils/errors/chain.h -- an error with what was being done when it came up, for logs; is and is_code.
//
//   if (auto role = load(id); !role) return errors::with_context(role.error(), "loading role {}", id);   // a Result
//   errors::Chain chain = errors::wrap(role.error(), "loading role {}", id);                             // for a log
//   log(errors::format(chain));      // loading role 7 : {"code":404,...} and, with GAME_ERROR_STACK, the stack
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/base/error.h"

namespace mg::errors {

// {"code":3,"status":"invalid","detail":"bad 7"}: the form errors have inside a process and in logs; nothing is left
// out. The form on the wire is to_json. Source: wire.md 10.
std::string to_text(const Error& error);

// The addresses of the calls that led somewhere; names are looked up when it is shown.
class Stack {
 public:
  // Of the caller; `skip` more calls are left out. Cost: about a microsecond a call, no lookup.
  static Stack here(int skip = 0);

  bool empty() const { return frames_.empty(); }
  // One call a line, innermost first: "  #0 mg::load(int) + 0x1f in gate". A function without a symbol in the binary
  // shows as an offset for addr2line.
  std::string text() const;

 private:
  std::vector<void*> frames_;
};

// Whether errors carry stacks: GAME_ERROR_STACK (1, t, true) as it was at the first call, else what was set.
bool stacks_wanted();
void want_stacks(bool wanted);

// An error and the contexts it went through, innermost first. Not for the hot path: it allocates.
// Converts to its Error, so that a function that returns a Result can return it; the contexts stay behind, as they do
// in Go. with_context keeps them, in the detail.
class Chain {
 public:
  explicit Chain(Error cause);  // Takes the stack, when stacks are wanted.

  // The error at the bottom.
  const Error& cause() const { return cause_; }
  operator const Error&() const { return cause_; }  // NOLINT(google-explicit-constructor)
  // What wrap was given, innermost first.
  const std::vector<std::string>& contexts() const { return contexts_; }
  const Stack& stack() const { return stack_; }
  void add(std::string context) { contexts_.push_back(std::move(context)); }

  // "outer : inner : {"code":3,...}": one line, the outermost context first.
  std::string text() const;

 private:
  Error cause_;
  std::vector<std::string> contexts_;
  Stack stack_;
};

// Several lines for a log: the error, then each context, innermost first, then the stack if there is one.
std::string format(const Chain& chain);

// A chain from an error (or a chain) and what was being done; formats like fmt::format.
template <class... Args>
Chain wrap(Chain chain, fmt::format_string<Args...> context, Args&&... args) {
  chain.add(fmt::format(context, std::forward<Args>(args)...));
  return chain;
}
template <class... Args>
Chain wrap(Error cause, fmt::format_string<Args...> context, Args&&... args) {
  return wrap(Chain(std::move(cause)), context, std::forward<Args>(args)...);
}

// What a function that returns a Result returns when a call it made failed: the same error with its detail lengthened
// to "loading role 7 : no document".
template <class... Args>
std::unexpected<Error> with_context(Error error, fmt::format_string<Args...> context, Args&&... args) {
  std::string detail = fmt::format(context, std::forward<Args>(args)...);
  if (!error.detail.empty()) detail += " : " + error.detail;
  error.detail = std::move(detail);
  return std::unexpected(std::move(error));
}

// Whether an error has this code.
inline bool is_code(const Error& error, std::int32_t code) {
  return error.code == code;
}
template <class T>
bool is_code(const Result<T>& result, std::int32_t code) {
  return result ? code == code::kOk : result.error().code == code;
}
// Whether two errors are of one kind, that is, have one code.
inline bool is(const Error& a, const Error& b) {
  return a.code == b.code;
}

}  // namespace mg::errors
