// codec/crc32c.h -- CRC32C, the Castagnoli checksum (private to codec).
//
//   crc32c(as_bytes("123456789")) == 0xE3069283;
//   crc32c(tail, crc32c(front));       // of both, one after the other
#pragma once

#include <cstdint>

#include "mg/base/bytes.h"

namespace mg::codec {

// Of what `before` is the checksum of, followed by `data`. Source: RFC 3720 appendix B.4.
// Cost: the processor's instruction where it has one (SSE 4.2), else a table of 1 KiB.
std::uint32_t crc32c(Bytes data, std::uint32_t before = 0);

}  // namespace mg::codec
