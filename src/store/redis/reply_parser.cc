#include "store/redis/reply_parser.h"

#include <charconv>
#include <cstring>

namespace mg::redis {

ReplyParser::Status ReplyParser::broken(const char* why) {
  error_ = why;
  return Status::kBroken;
}

bool ReplyParser::number(std::string_view text, std::int64_t* out) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto done = std::from_chars(text.data(), text.data() + text.size(), *out);
  return done.ec == std::errc() && done.ptr == text.data() + text.size();
}

// The line at the front of `in`, without its end; false: it is not whole (or `bad`).
bool ReplyParser::line(std::string_view in, std::string_view* out, std::size_t* used, bool* bad) {
  const void* const end = std::memchr(in.data() + searched_, '\n', in.size() - searched_);
  const std::size_t size = end ? static_cast<std::size_t>(static_cast<const char*>(end) - in.data()) : in.size();
  if (size > limits_.max_line_bytes + 1 || (end && (size == 0 || in[size - 1] != '\r'))) {
    *bad = true;
    return false;
  }
  if (!end) {
    searched_ = in.size();
    return false;
  }
  searched_ = 0;
  *out = in.substr(0, size - 1);
  *used = size + 1;
  return true;
}

ReplyParser::Status ReplyParser::next(Bytes octets, std::size_t* used) {
  *used = 0;
  want_ = 0;
  if (*error_ != '\0') return Status::kBroken;
  std::string_view in = as_text(octets);
  for (;;) {
    if (in.empty()) return Status::kMore;
    const char type = in.front();
    std::string_view text;
    std::size_t head = 0;
    bool bad = false;
    if (!line(in, &text, &head, &bad)) {
      return bad ? broken("a line without an end, or too long") : Status::kMore;
    }
    if (text.empty()) return broken("octets that are no reply");
    text.remove_prefix(1);

    Reply reply;
    std::int64_t size = 0;
    std::size_t whole = head;
    switch (type) {
      case '+':
        reply = Reply::status(std::string(text));
        break;
      case '-':
        reply = Reply::error(std::string(text));
        break;
      case ':':
        reply.kind = Reply::Kind::kInteger;
        if (!number(text, &reply.integer)) return broken("an integer that is none");
        break;
      case '$':
        if (!number(text, &size) || size < -1) return broken("a string with a bad length");
        if (size < 0) break;
        if (static_cast<std::uint64_t>(size) > limits_.max_bulk_bytes) return broken("a string beyond the limit");
        whole = head + static_cast<std::size_t>(size) + 2;
        if (in.size() < whole) {
          want_ = whole;
          return Status::kMore;
        }
        if (in[whole - 2] != '\r' || in[whole - 1] != '\n') return broken("a string without its end");
        reply = Reply::bulk(std::string(in.substr(head, static_cast<std::size_t>(size))));
        break;
      case '*':
        if (!number(text, &size) || size < -1) return broken("an array with a bad length");
        if (size < 0) break;
        if (open_.size() >= limits_.max_depth) return broken("arrays nested too deep");
        reply.kind = Reply::Kind::kArray;
        break;
      default:
        return broken("octets that are no reply");
    }
    held_ += sizeof(Reply) + reply.text.size();
    if (held_ > limits_.max_reply_bytes) return broken("a reply beyond the limit");
    in.remove_prefix(whole);
    *used += whole;

    // Into its place.
    Reply* place = &root_;
    if (!open_.empty()) {
      // An element may move its siblings: only arrays that are open are pointed to, and those are last.
      place = &open_.back().array->items.emplace_back();
      --open_.back().left;
    }
    *place = std::move(reply);
    if (place->is_array() && size > 0) {
      open_.push_back({place, size});
      continue;
    }
    while (!open_.empty() && open_.back().left == 0) open_.pop_back();
    if (open_.empty()) {
      held_ = 0;
      return Status::kReply;
    }
  }
}

}  // namespace mg::redis
