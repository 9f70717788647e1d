#include "agent/ws/deflate.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "mg/base/error.h"

namespace mg::agent::ws {
namespace {

// What a sender cuts off each message and a receiver puts back. Source: RFC 7692 section 7.2.1.
constexpr std::array kTail{std::byte{0}, std::byte{0}, std::byte{0xFF}, std::byte{0xFF}};

constexpr std::string_view kName = "permessage-deflate";
constexpr std::size_t kMaxOffers = 16;
constexpr std::size_t kMaxParameters = 16;

bool is_token_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// Reads Sec-WebSocket-Extensions: name *( ";" key [ "=" ( token | quoted token ) ] ) *( "," ... ).
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool at_end() {
    skip_space();
    return text_.empty();
  }
  bool take(char c) {
    skip_space();
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  // Empty: there is none.
  std::string_view token() {
    skip_space();
    std::size_t n = 0;
    while (n < text_.size() && is_token_char(text_[n])) ++n;
    const std::string_view out = text_.substr(0, n);
    text_.remove_prefix(n);
    return out;
  }

 private:
  void skip_space() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\t')) text_.remove_prefix(1);
  }
  std::string_view text_;
};

struct Parameter {
  std::string_view key;
  std::string_view value;
  bool has_value = false;
};

struct Extension {
  std::string_view name;
  std::array<Parameter, kMaxParameters> parameters;
  std::size_t count = 0;
};

// False: not the grammar, or more parameters than any extension has.
bool read_extension(Reader& reader, Extension& out) {
  out.name = reader.token();
  out.count = 0;
  if (out.name.empty()) return false;
  while (reader.take(';')) {
    if (out.count == kMaxParameters) return false;
    Parameter& parameter = out.parameters[out.count++] = {};
    parameter.key = reader.token();
    if (parameter.key.empty()) return false;
    if (!reader.take('=')) continue;
    const bool quoted = reader.take('"');
    parameter.value = reader.token();
    parameter.has_value = true;
    if (parameter.value.empty() || (quoted && !reader.take('"'))) return false;
  }
  return true;
}

// Window bits as RFC 7692 writes them: 8..15 without a leading zero. 0: not that.
std::uint8_t window_bits(std::string_view value) {
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), bits);
  if (error != std::errc() || end != value.data() + value.size() || value.front() == '0') return 0;
  return bits >= 8 && bits <= 15 ? static_cast<std::uint8_t>(bits) : 0;
}

struct Parameters {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::uint8_t server_bits = 0;  // 0: not there.
  std::uint8_t client_bits = 0;  // 0: not there, or there without a value:
  bool client_bits_open = false;
};

// The parameters of one permessage-deflate element. nullopt: unknown, repeated or bad ones.
std::optional<Parameters> read_parameters(const Extension& extension, bool value_required) {
  Parameters out;
  for (const Parameter& p : std::span(extension.parameters).first(extension.count)) {
    if (p.key == "server_no_context_takeover" && !p.has_value && !out.server_no_context_takeover) {
      out.server_no_context_takeover = true;
    } else if (p.key == "client_no_context_takeover" && !p.has_value && !out.client_no_context_takeover) {
      out.client_no_context_takeover = true;
    } else if (p.key == "server_max_window_bits" && p.has_value && out.server_bits == 0) {
      if ((out.server_bits = window_bits(p.value)) == 0) return std::nullopt;
    } else if (p.key == "client_max_window_bits" && out.client_bits == 0 && !out.client_bits_open) {
      if (!p.has_value && value_required) return std::nullopt;
      out.client_bits_open = !p.has_value;
      if (p.has_value && (out.client_bits = window_bits(p.value)) == 0) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace

std::optional<DeflateParams> negotiate_deflate(std::string_view offers, const DeflateOptions& options,
                                               std::string& answer) {
  if (!options.enabled) return std::nullopt;
  Reader reader(offers);
  for (std::size_t i = 0; i < kMaxOffers && !reader.at_end(); ++i) {
    if (reader.take(',')) continue;  // An empty list element.
    Extension extension;
    if (!read_extension(reader, extension)) return std::nullopt;
    if (!reader.at_end() && !reader.take(',')) return std::nullopt;
    if (extension.name != kName) continue;
    const auto offer = read_parameters(extension, false);
    if (!offer) continue;

    DeflateParams params;
    params.server_no_context_takeover = offer->server_no_context_takeover || options.no_context_takeover;
    params.client_no_context_takeover = offer->client_no_context_takeover || options.no_context_takeover;
    params.server_max_window_bits =
        std::min<std::uint8_t>(options.server_max_window_bits, offer->server_bits == 0 ? 15 : offer->server_bits);
    // We may choose the client's window only if it says that it lets us.
    const bool may_choose = offer->client_bits_open || offer->client_bits != 0;
    if (may_choose) {
      params.client_max_window_bits =
          std::min<std::uint8_t>(options.client_max_window_bits, offer->client_bits == 0 ? 15 : offer->client_bits);
    }
    answer = kName;
    if (params.server_no_context_takeover) answer += "; server_no_context_takeover";
    if (params.client_no_context_takeover) answer += "; client_no_context_takeover";
    if (offer->server_bits != 0 || params.server_max_window_bits != 15) {
      answer += "; server_max_window_bits=" + std::to_string(params.server_max_window_bits);
    }
    if (may_choose && params.client_max_window_bits != 15) {
      answer += "; client_max_window_bits=" + std::to_string(params.client_max_window_bits);
    }
    return params;
  }
  return std::nullopt;
}

std::string offer_deflate() {
  return "permessage-deflate; client_max_window_bits";
}

std::optional<DeflateParams> accept_deflate(std::string_view answer) {
  Reader reader(answer);
  Extension extension;
  if (!read_extension(reader, extension) || !reader.at_end() || extension.name != kName) return std::nullopt;
  const auto got = read_parameters(extension, true);
  if (!got) return std::nullopt;
  return DeflateParams{.server_no_context_takeover = got->server_no_context_takeover,
                       .client_no_context_takeover = got->client_no_context_takeover,
                       .server_max_window_bits = got->server_bits == 0 ? std::uint8_t{15} : got->server_bits,
                       .client_max_window_bits = got->client_bits == 0 ? std::uint8_t{15} : got->client_bits};
}

struct Inflater::State {
  z_stream stream{};
  bool ended = false;  // The input so far ends with a final block.
  ~State() { inflateEnd(&stream); }
};

Inflater::Inflater(std::uint8_t window_bits, bool no_context_takeover)
    : window_bits_(std::max<std::uint8_t>(window_bits, 9)),  // zlib senders told 8 use 9.
      no_context_takeover_(no_context_takeover) {}
Inflater::~Inflater() = default;

std::size_t Inflater::heap_bytes() const {
  return state_ ? sizeof(State) + 7 * 1024 + (std::size_t{1} << window_bits_) : 0;
}

Inflater::Status Inflater::run(Bytes in, std::size_t limit, std::vector<std::byte>& out) {
  if (in.empty()) return Status::kOk;
  state_->ended = false;
  z_stream& stream = state_->stream;
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
  stream.avail_in = static_cast<uInt>(in.size());
  const std::size_t start = out.size();
  std::size_t end = start;  // Of what came out; `out` is larger while zlib writes.
  auto finish = [&](Status status) {
    out.resize(end);
    return status;
  };
  for (;;) {
    if (out.size() == end) {
      // Room in proportion to what went in and came out now, not to the message: many small pieces must stay cheap.
      // One octet over the limit is room enough to see that the message is too big.
      const std::size_t room = std::max<std::size_t>({end - start, 4 * in.size(), 256});
      out.resize(end + std::min(room, limit + 1 - end));
    }
    const std::size_t room = out.size() - end;
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + end);
    stream.avail_out = static_cast<uInt>(room);
    const int result = inflate(&stream, Z_SYNC_FLUSH);
    end += room - stream.avail_out;
    if (end > limit) return finish(Status::kTooBig);
    if (result == Z_STREAM_END) {
      // The sender closed its stream with a final block, which RFC 7692 section 7.2.3.4 allows: the next block follows,
      // and may refer to what was sent before.
      if (inflateResetKeep(&stream) != Z_OK) return finish(Status::kBadData);
      if (stream.avail_in != 0) continue;
      state_->ended = true;
      return finish(Status::kOk);
    }
    if (result != Z_OK && result != Z_BUF_ERROR) return finish(Status::kBadData);
    // Output space left over means that everything that could come out has.
    if (stream.avail_out != 0) return finish(stream.avail_in == 0 ? Status::kOk : Status::kBadData);
  }
}

Inflater::Status Inflater::feed(Bytes in, bool fin, std::size_t limit, std::vector<std::byte>& out) {
  if (!state_) {
    auto state = std::make_unique<State>();
    if (inflateInit2(&state->stream, -static_cast<int>(window_bits_)) != Z_OK) return Status::kTooBig;
    state_ = std::move(state);
  }
  if (const Status status = run(in, limit, out); status != Status::kOk) return status;
  if (!fin) return Status::kOk;
  if (!state_->ended) {
    if (const Status status = run(kTail, limit, out); status != Status::kOk) return status;
    // A whole message ends between two blocks, on an octet boundary. Source: zlib.h, inflate(), data_type.
    if ((state_->stream.data_type & 128) == 0 || (state_->stream.data_type & 7) != 0) return Status::kBadData;
  }
  state_->ended = false;
  if (no_context_takeover_) state_.reset();
  return Status::kOk;
}

struct Deflater::State {
  z_stream stream{};
  int level = 0;
  ~State() { deflateEnd(&stream); }

  static std::unique_ptr<State> make(std::uint8_t window_bits, int level) {
    auto state = std::make_unique<State>();
    state->level = level;
    // zlib has no raw window of 8 bits: without matches no window is needed.
    const int bits = std::max<int>(window_bits, 9);
    const int strategy = window_bits < 9 ? Z_HUFFMAN_ONLY : Z_DEFAULT_STRATEGY;
    if (deflateInit2(&state->stream, level, Z_DEFLATED, -bits, 8, strategy) != Z_OK) return nullptr;
    return state;
  }

  // The state of this thread for messages without history: it is unused between two calls, whoever makes them.
  static State* of_thread(std::uint8_t window_bits, int level) {
    thread_local std::array<std::unique_ptr<State>, 16> states;
    auto& state = states[window_bits & 15];
    if (!state || state->level != level) state = make(window_bits, level);
    return state.get();
  }
};

Deflater::Deflater(std::uint8_t window_bits, bool no_context_takeover, int level)
    : level_(static_cast<std::int8_t>(level)), window_bits_(window_bits), no_context_takeover_(no_context_takeover) {}
Deflater::~Deflater() = default;

bool Deflater::compress(Bytes message, std::vector<std::byte>& out) {
  State* state = state_.get();
  if (no_context_takeover_) {
    state = State::of_thread(window_bits_, level_);
  } else if (!state) {
    state_ = State::make(window_bits_, level_);
    state = state_.get();
  }
  if (!state) return false;
  if (message.empty()) {  // zlib flushes nothing twice. Source: RFC 7692 section 7.2.3.6.
    out.push_back(std::byte{0});
    return true;
  }
  z_stream& stream = state->stream;
  const std::size_t start = out.size();
  std::size_t end = start;
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(message.data()));
  stream.avail_in = static_cast<uInt>(message.size());
  do {
    out.resize(end + std::max<std::size_t>(message.size() / 2, 64));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + end);
    stream.avail_out = static_cast<uInt>(out.size() - end);
    if (deflate(&stream, Z_SYNC_FLUSH) == Z_STREAM_ERROR) {  // Cannot be: the stream is in order.
      out.resize(start);
      return false;
    }
    end = out.size() - stream.avail_out;
  } while (stream.avail_out == 0);
  out.resize(end - kTail.size());
  if (no_context_takeover_) deflateReset(&stream);
  return true;
}

}  // namespace mg::agent::ws
