// mg/protocol/reply_to.h -- the place that a handler's reply is written to.
//
//   std::string text;
//   co_await router.call(meta, cmd, body, text);      // a text is one
#pragma once

#include <cstddef>
#include <string>

namespace mg::protocol {

// Where a reply goes: asked once for the place of its octets, when their number is known.
// Lifetime: what it refers to, until the call has ended.
class ReplyTo {
 public:
  // Gives `size` octets that may be written until the call has ended; null: there is no room.
  using Grow = std::byte* (*)(void* context, std::size_t size);

  ReplyTo(Grow grow, void* context) noexcept : grow_(grow), context_(context) {}
  ReplyTo(std::string& text) noexcept : ReplyTo(append, &text) {}  // NOLINT: implicit. Appends to it.
  std::byte* grow(std::size_t size) const { return grow_(context_, size); }

 private:
  static std::byte* append(void* text, std::size_t size);
  Grow grow_;
  void* context_;
};

}  // namespace mg::protocol
