// mg/protocol/message_pair.h -- a request and a reply in one arena, used for call after call of one route.
//
//   MessagePair* pair = MessagePair::make<msg::C2S_10001, msg::S2C_10001>();
//   pair->request->ParseFromArray(...);
//   pair->clear();                        // and again
#pragma once

#include <google/protobuf/arena.h>
#include <google/protobuf/message.h>
#include <google/protobuf/message_lite.h>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace mg::protocol {

// Threads: one at a time.
class MessagePair {
 public:
  template <class Request, class Reply>
  static MessagePair* make() {
    auto* pair = new MessagePair;
    auto* request = google::protobuf::Arena::CreateMessage<Request>(&pair->arena_);
    auto* reply = google::protobuf::Arena::CreateMessage<Reply>(&pair->arena_);
    pair->request = request;
    pair->reply = reply;
    if constexpr (std::derived_from<Request, google::protobuf::Message>) pair->whole_request_ = request;
    if constexpr (std::derived_from<Reply, google::protobuf::Message>) pair->whole_reply_ = reply;
    return pair;
  }
  MessagePair(const MessagePair&) = delete;
  MessagePair& operator=(const MessagePair&) = delete;

  // Makes it ready for the next call. False when it has grown over `max_bytes` and must go: a message that is cleared
  // keeps the memory of all it ever held.
  bool clear(std::size_t max_bytes);

  google::protobuf::MessageLite* request = nullptr;
  google::protobuf::MessageLite* reply = nullptr;
  MessagePair* next = nullptr;   // In a pool.
  std::size_t passed_bytes = 0;  // Encoded, of the call at hand.

 private:
  static constexpr std::size_t kFirstBlock = 768;  // Enough for most pairs, so that making one is one allocation.
  static constexpr std::uint32_t kMeasureEvery = 64;

  MessagePair() : arena_(options(first_block_)) {}
  static google::protobuf::ArenaOptions options(char* block) {
    google::protobuf::ArenaOptions options;
    options.initial_block = block;
    options.initial_block_size = kFirstBlock;
    return options;
  }

  std::uint32_t uses_ = 0;
  const google::protobuf::Message* whole_request_ = nullptr;  // Null for messages of the lite runtime.
  const google::protobuf::Message* whole_reply_ = nullptr;
  alignas(std::max_align_t) char first_block_[kFirstBlock];
  google::protobuf::Arena arena_;
};

}  // namespace mg::protocol
