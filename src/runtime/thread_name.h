// runtime/thread_name.h -- what `top -H` and debuggers show.
//
//   name_this_thread("mg-loop", 3);   // "mg-loop-3"
#pragma once

#include <fmt/format.h>
#include <pthread.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace mg {

// The kernel keeps 15 octets: the name is cut, the number stays.
inline void name_this_thread(std::string_view name, std::uint32_t number) {
  const std::string suffix = fmt::format("-{}", number);
  const std::string whole = std::string(name.substr(0, 15 - suffix.size())) + suffix;
  ::pthread_setname_np(::pthread_self(), whole.c_str());
}

}  // namespace mg
