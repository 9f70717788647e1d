// mg/app/app_inline.h -- the templates of app.h.
//
//   #include "mg/app/app.h"       // not this one
#pragma once

#include <functional>
#include <type_traits>
#include <utility>

#include "mg/app/app.h"

namespace mg {

template <class Fn>
App::Hook App::make_hook(Fn fn) {
  return [fn = std::move(fn)](Deadline deadline) mutable -> Task<Result<void>> {
    const auto call = [&]() -> decltype(auto) {
      if constexpr (std::is_invocable_v<Fn&, Deadline>) {
        return std::invoke(fn, deadline);
      } else {
        return std::invoke(fn);
      }
    };
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      return Result<void>();
    } else {
      return call();
    }
  };
}

namespace detail {
template <class>
struct SubscriberTraits;
template <class Fn>
  requires requires { &Fn::operator(); }
struct SubscriberTraits<Fn> : SubscriberTraits<decltype(&Fn::operator())> {};
template <class T, class R, class Message>
struct SubscriberTraits<R (T::*)(const Meta&, const Message&) const> {
  using Type = Message;
};
template <class T, class R, class Message>
struct SubscriberTraits<R (T::*)(const Meta&, const Message&)> {
  using Type = Message;
};
template <class R, class Message>
struct SubscriberTraits<R (*)(const Meta&, const Message&)> {
  using Type = Message;
};
}  // namespace detail

template <class Fn>
App::Subscriber App::make_subscriber(Fn fn) {
  using Message = typename detail::SubscriberTraits<Fn>::Type;
  return {.type = &Message::default_instance(),
          .handle = [fn = std::move(fn)](const Meta& meta, const rpc::MessageLite& message) -> Task<Result<void>> {
            return std::invoke(fn, meta, static_cast<const Message&>(message));
          }};
}

}  // namespace mg
