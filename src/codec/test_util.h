// codec/test_util.h -- buffers for the tests of codec.
//
//   Exact in(hex("0001 00000001 00000003 616263"));       // no octet more: a sanitizer sees any step past the end
//   decode_client(in.octets(), options);
//   to_hex(in.octets()) == "00010000000100000003616263"
#pragma once

#include <charconv>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "mg/base/bytes.h"

namespace mg::codec {

// A heap buffer of exactly the size of its content.
class Exact {
 public:
  explicit Exact(std::size_t size) : data_(new std::byte[size]), size_(size) {}
  explicit Exact(Bytes content) : Exact(content.size()) {
    if (!content.empty()) std::memcpy(data_.get(), content.data(), content.size());
  }
  explicit Exact(std::string_view content) : Exact(as_bytes(content)) {}

  MutableBytes octets() { return {data_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> data_;
  std::size_t size_;
};

inline std::string hex(std::string_view digits) {
  std::string compact, out;
  for (const char c : digits) {
    if (c != ' ') compact += c;
  }
  for (std::size_t i = 0; i + 1 < compact.size(); i += 2) {
    unsigned octet = 0;
    std::from_chars(compact.data() + i, compact.data() + i + 2, octet, 16);
    out += static_cast<char>(octet);
  }
  return out;
}

inline std::string to_hex(Bytes octets) {
  std::string out;
  for (const std::byte octet : octets) {
    out += "0123456789abcdef"[static_cast<unsigned>(octet) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned>(octet) & 15];
  }
  return out;
}

}  // namespace mg::codec
