// protocol/body_fault.h -- why protobuf could not read a body: protobuf itself does not say.
//
//   if (!message.ParseFromArray(...)) return is_cut_short(body) ? "unexpected EOF" : "malformed";
#pragma once

#include <string_view>

namespace mg::protocol {

// True when `body` is good as far as it goes but ends inside a field or group of its outermost message.
bool is_cut_short(std::string_view body);

}  // namespace mg::protocol
