#include "mg/codec/frame.h"

namespace mg::codec::detail {

// The texts begin as the Go original's do.
std::unexpected<Error> refuse_head_length(std::size_t got, std::size_t head_bytes) {
  return fail(code::kInvalid, "msg head length error: {} octets, a head has {}", got, head_bytes);
}

std::unexpected<Error> refuse_mix() {
  return fail(code::kInvalid, "msg head check error: the mix octets are not the configured ones");
}

std::unexpected<Error> refuse_too_large(std::uint32_t stated, std::uint32_t limit) {
  return fail(code::kInvalid, "msg data length error: the head states {} octets, the limit is {}", stated, limit);
}

std::unexpected<Error> refuse_data_length(std::size_t stated, std::size_t got) {
  return fail(code::kInvalid, "msg data length error: the head states {} octets, {} follow it", stated, got);
}

std::unexpected<Error> refuse_serial(std::uint16_t serial, std::uint16_t last) {
  return fail(code::kInvalid, "msg serial error: {} does not come after {}", serial, last);
}

}  // namespace mg::codec::detail
