// mg/app/common_flags.h -- the flags every service has (wire.md section 9), by their names.
//
//   if (!app.process().common().registry_address.empty()) ...
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace mg {

class Flags;

struct CommonFlags {
  bool dev = false;                                          // Log each request and message.
  std::uint32_t loops = 0;                                   // 0: one for each core.
  std::chrono::milliseconds stop_timeout{10'000};            // For a graceful stop, of all apps together.
  std::chrono::milliseconds client_request_timeout{10'000};  // Of calls without a deadline.
  std::uint32_t client_pool_size = 0;                        // 0: 100 connections for each address.
  std::chrono::milliseconds client_pool_ttl{0};              // 0: a minute.
  std::vector<std::string> registry_address;                 // Empty: built in.
  std::chrono::seconds register_ttl{60};
  std::chrono::seconds register_interval{30};  // 0: never refreshed.
  std::vector<std::string> broker_address;     // Empty: built in.
  std::string selector;
  std::string lang = "zh-cn";  // Of error texts, only when it is given (mg/utils/errors/language.h).
  std::string gops;
  std::string profile;
  std::string runtime = "local";
  std::string runtime_source;
  std::string tracer;
  std::string tracer_address;

  void add_to(Flags& flags);
};

}  // namespace mg
