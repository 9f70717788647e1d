// broker/nats/envelope.h -- a message as it goes over NATS: JSON with Header and Body (wire.md 3.1, 3.2).
//
//   std::string octets = encode_envelope(message);
//   if (auto message = decode_envelope(octets)) queue.push(*message);
#pragma once

#include <string>
#include <string_view>

#include "mg/broker/broker.h"

namespace mg::broker {

// {"Header":{...},"Body":"<base64>"}; an empty body is null. Octets of headers that are no UTF-8 become U+FFFD.
std::string encode_envelope(const Message& message);

// Keys in any case, unknown ones ignored, null for nothing. Errors: kInvalid  what is wrong
Result<Message> decode_envelope(std::string_view text);

}  // namespace mg::broker
