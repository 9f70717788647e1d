// BSON as bsonspec.org 1.1 has it. Every length comes from somebody else: none is believed before it is checked.
#include "mg/store/documents/bson.h"

#include <bit>
#include <cstring>
#include <memory>
#include <unordered_set>
#include <utility>

#include "base/utf8.h"

namespace mg::documents {
namespace {

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    if (static_cast<unsigned char>(text.front()) < 0x80) {
      text.remove_prefix(1);
      continue;
    }
    const utf8::Rune rune = utf8::decode_rune(text);
    if (!rune.valid) return false;
    text.remove_prefix(rune.size);
  }
  return true;
}

enum Tag : std::uint8_t {
  kTagDouble = 0x01,
  kTagText = 0x02,
  kTagDocument = 0x03,
  kTagArray = 0x04,
  kTagBinary = 0x05,
  kTagObjectId = 0x07,
  kTagBool = 0x08,
  kTagDate = 0x09,
  kTagNull = 0x0A,
  kTagRegex = 0x0B,
  kTagInt32 = 0x10,
  kTagTimestamp = 0x11,
  kTagInt64 = 0x12,
  kTagDecimal = 0x13,
  kTagMaxKey = 0x7F,
  kTagMinKey = 0xFF
};
constexpr std::uint8_t kTags[] = {kTagNull,     kTagDouble,  kTagText,   kTagDocument, kTagArray, kTagBinary,
                                  kTagObjectId, kTagBool,    kTagDate,   kTagRegex,    kTagInt32, kTagTimestamp,
                                  kTagInt64,    kTagDecimal, kTagMinKey, kTagMaxKey};

class Writer {
 public:
  explicit Writer(std::vector<std::byte>& out) : out_(out) {}

  void document(const Document& document) {
    const std::size_t start = open();
    for (const Field& each : document) element(each.name, each.value);
    close(start);
  }

 private:
  std::size_t open() {
    out_.resize(out_.size() + 4);
    return out_.size() - 4;
  }
  void close(std::size_t start) {
    out_.push_back(std::byte{0});
    mg::store(out_.data() + start, static_cast<std::uint32_t>(out_.size() - start), std::endian::little);
  }
  template <class T>
  void number(T value) {
    out_.resize(out_.size() + sizeof value);
    mg::store(out_.data() + out_.size() - sizeof value, value, std::endian::little);
  }
  void octets(Bytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void element(std::string_view name, const Value& value) {
    out_.push_back(std::byte{kTags[static_cast<std::size_t>(value.type())]});
    octets(as_bytes(name));
    out_.push_back(std::byte{0});
    switch (value.type()) {
      case Type::kNull:
      case Type::kMinKey:
      case Type::kMaxKey:
        return;
      case Type::kDouble:
        return number(std::bit_cast<std::uint64_t>(value.as_double()));
      case Type::kText:
        number(static_cast<std::uint32_t>(value.as_text().size() + 1));
        octets(as_bytes(value.as_text()));
        return out_.push_back(std::byte{0});
      case Type::kDocument:
        return document(value.as_document());
      case Type::kArray: {
        const std::size_t start = open();
        std::size_t index = 0;
        for (const Value& item : value.as_array()) element(std::to_string(index++), item);
        return close(start);
      }
      case Type::kBinary: {
        const Binary& binary = value.as_binary();
        number(static_cast<std::uint32_t>(binary.octets.size()));
        out_.push_back(std::byte{binary.subtype});
        return octets(binary.octets);
      }
      case Type::kObjectId:
        return octets(value.as_object_id().octets);
      case Type::kBool:
        return out_.push_back(std::byte{value.as_bool()});
      case Type::kDate:
        return number(static_cast<std::uint64_t>(value.as_date().time_since_epoch().count()));
      case Type::kRegex: {
        const std::string& text = value.as<Regex>().text;
        octets(as_bytes(text));
        out_.push_back(std::byte{0});
        if (!text.contains('\0')) out_.push_back(std::byte{0});
        return;
      }
      case Type::kInt32:
        return number(static_cast<std::uint32_t>(value.as_whole()));
      case Type::kTimestamp:
        return number(value.as<Timestamp>().bits);
      case Type::kInt64:
        return number(static_cast<std::uint64_t>(value.as_whole()));
      case Type::kDecimal:
        return octets(value.as<Decimal>().octets);
    }
  }

  std::vector<std::byte>& out_;
};

class Reader {
 public:
  Reader(Bytes in, const Limits& limits) : in_(in), limits_(limits) {}

  Result<Document> whole() {
    if (in_.size() > limits_.max_bytes) {
      return fail(code::kInvalid, "BSON of {} octets: at most {}", in_.size(), limits_.max_bytes);
    }
    Document out;
    if (!document(out, 1)) return fail(code::kInvalid, "BSON at octet {}: {}", at_, fault_);
    if (at_ != in_.size())
      return fail(code::kInvalid, "BSON at octet {}: {} octets after the end", at_, in_.size() - at_);
    return out;
  }

 private:
  bool wrong(const char* fault) {
    if (fault_ == nullptr) fault_ = fault;
    return false;
  }
  std::size_t left() const { return end_ - at_; }
  template <class T>
  bool number(T& out) {
    if (left() < sizeof(T)) return wrong("cut short");
    out = mg::load<T>(in_.data() + at_, std::endian::little);
    at_ += sizeof(T);
    return true;
  }
  bool c_text(std::string_view& out) {
    const std::string_view rest = as_text(in_.subspan(at_, left()));
    const std::size_t size = rest.find('\0');
    if (size == rest.npos) return wrong("a name without its NUL");
    out = rest.substr(0, size);
    if (!is_utf8(out)) return wrong("a name that is no UTF-8");
    at_ += size + 1;
    return true;
  }
  // Octets of a document or array, within those of the outer one.
  template <class Each>
  bool elements(std::size_t depth, Each each) {
    if (depth > limits_.max_depth) return wrong("nested too deep");
    std::uint32_t size = 0;
    const std::size_t start = at_;
    if (!number(size)) return false;
    if (size < 5 || size > end_ - start) return wrong("a length beyond the end");
    const std::size_t outer = std::exchange(end_, start + size - 1);
    if (in_[end_] != std::byte{0}) return wrong("a document without its NUL");
    while (at_ < end_) {
      std::uint8_t tag = 0;
      std::string_view name;
      Value value;
      if (!number(tag) || !c_text(name) || !read(tag, value, depth) || !each(name, std::move(value))) return false;
    }
    ++at_;
    end_ = outer;
    return true;
  }
  bool document(Document& out, std::size_t depth) {
    std::unordered_set<std::string_view> many;  // Only once a walk is too long.
    return elements(depth, [&](std::string_view name, Value value) {
      if (out.size() < 16 ? out.contains(name) : !unique(many, out, name)) return wrong("a name twice");
      out.append(std::string(name), std::move(value));
      return true;
    });
  }
  // Names are views of the input, which does not move.
  bool unique(std::unordered_set<std::string_view>& seen, const Document& out, std::string_view name) {
    if (seen.empty()) {
      for (const Field& each : out) {
        names_.push_back(std::make_unique<std::string>(each.name));
        seen.insert(*names_.back());
      }
    }
    return seen.insert(name).second;
  }
  bool array(Array& out, std::size_t depth) {
    return elements(depth, [&](std::string_view, Value value) {  // Names of items are not looked at, as by servers.
      out.push_back(std::move(value));
      return true;
    });
  }
  bool read(std::uint8_t tag, Value& out, std::size_t depth) {
    std::uint32_t n32 = 0;
    std::uint64_t n64 = 0;
    std::uint8_t n8 = 0;
    switch (tag) {
      case kTagDouble:
        if (!number(n64)) return false;
        out = std::bit_cast<double>(n64);
        return true;
      case kTagText: {
        if (!number(n32)) return false;
        if (n32 == 0 || n32 > left()) return wrong("text runs past the end");
        const std::string_view text = as_text(in_.subspan(at_, n32));
        if (text.back() != '\0') return wrong("text without its NUL");
        if (!is_utf8(text.substr(0, text.size() - 1))) return wrong("text that is no UTF-8");
        out = text.substr(0, text.size() - 1);
        at_ += n32;
        return true;
      }
      case kTagDocument: {
        Document inner;
        if (!document(inner, depth + 1)) return false;
        out = std::move(inner);
        return true;
      }
      case kTagArray: {
        Array inner;
        if (!array(inner, depth + 1)) return false;
        out = std::move(inner);
        return true;
      }
      case kTagBinary: {
        if (!number(n32) || !number(n8)) return false;
        if (n32 > left()) return wrong("binary runs past the end");
        const Bytes part = in_.subspan(at_, n32);
        out = Binary{.octets = {part.begin(), part.end()}, .subtype = n8};
        at_ += n32;
        return true;
      }
      case kTagObjectId: {
        ObjectId id;
        return octets(id.octets) && (out = id, true);
      }
      case kTagBool:
        if (!number(n8)) return false;
        if (n8 > 1) return wrong("a boolean that is neither");
        out = n8 == 1;
        return true;
      case kTagDate:
        if (!number(n64)) return false;
        out = Date(std::chrono::milliseconds(static_cast<std::int64_t>(n64)));
        return true;
      case kTagNull:
        return true;
      case kTagRegex: {
        std::string_view pattern, options;
        if (!c_text(pattern) || !c_text(options)) return false;
        std::string text(pattern);
        text += '\0';
        text += options;
        out = Regex{std::move(text)};
        return true;
      }
      case kTagInt32:
        if (!number(n32)) return false;
        out = static_cast<std::int32_t>(n32);
        return true;
      case kTagTimestamp:
        if (!number(n64)) return false;
        out = Timestamp{n64};
        return true;
      case kTagInt64:
        if (!number(n64)) return false;
        out = static_cast<std::int64_t>(n64);
        return true;
      case kTagDecimal: {
        Decimal decimal;
        return octets(decimal.octets) && (out = decimal, true);
      }
      case kTagMinKey:
        out = MinKey();
        return true;
      case kTagMaxKey:
        out = MaxKey();
        return true;
      default:
        return wrong("a type that is not kept here");
    }
  }
  bool octets(MutableBytes out) {
    if (left() < out.size()) return wrong("cut short");
    std::memcpy(out.data(), in_.data() + at_, out.size());
    at_ += out.size();
    return true;
  }

  Bytes in_;
  const Limits& limits_;
  std::size_t at_ = 0;
  std::size_t end_ = in_.size();  // Of the document being read, without its NUL.
  const char* fault_ = nullptr;
  std::vector<std::unique_ptr<std::string>> names_;
};

Result<void> check_value(const Value& value, std::size_t depth, std::size_t& size, const Limits& limits);

Result<void> check_fields(const Document& document, std::size_t depth, std::size_t& size, const Limits& limits) {
  if (depth > limits.max_depth) return fail(code::kInvalid, "a document nested deeper than {}", limits.max_depth);
  size += 5;
  for (const Field& each : document) {
    if (each.name.empty() || each.name.front() == '$' ||
        each.name.find_first_of(std::string_view(".\0", 2)) != std::string::npos) {
      return fail(code::kInvalid, "field \"{}\": a name is not empty, does not begin with $ and has no . and no NUL",
                  each.name);
    }
    if (!is_utf8(each.name)) return fail(code::kInvalid, "a field's name is no UTF-8");
    size += each.name.size() + 2;
    if (auto done = check_value(each.value, depth, size, limits); !done) {
      return fail(code::kInvalid, "{}: {}", each.name, done.error().detail);
    }
  }
  if (size > limits.max_bytes) return fail(code::kInvalid, "a document of more than {} octets", limits.max_bytes);
  return {};
}

Result<void> check_value(const Value& value, std::size_t depth, std::size_t& size, const Limits& limits) {
  size += 8;
  switch (value.type()) {
    case Type::kText:
      size += value.as_text().size();
      if (!is_utf8(value.as_text())) return fail(code::kInvalid, "text that is no UTF-8");
      return {};
    case Type::kBinary:
      size += value.as_binary().octets.size();
      return {};
    case Type::kDocument:
      return check_fields(value.as_document(), depth + 1, size, limits);
    case Type::kArray: {
      if (depth + 1 > limits.max_depth)
        return fail(code::kInvalid, "a document nested deeper than {}", limits.max_depth);
      for (const Value& item : value.as_array()) {
        size += 8;
        if (auto done = check_value(item, depth + 1, size, limits); !done) return done;
      }
      return {};
    }
    default:
      return {};
  }
}

}  // namespace

std::vector<std::byte> encode(const Document& document) {
  std::vector<std::byte> out;
  encode_to(out, document);
  return out;
}
void encode_to(std::vector<std::byte>& out, const Document& document) {
  Writer(out).document(document);
}
Result<Document> decode(Bytes octets, const Limits& limits) {
  return Reader(octets, limits).whole();
}
Result<void> check_storable(const Document& document, const Limits& limits) {
  std::size_t size = 0;
  return check_fields(document, 1, size, limits);
}

}  // namespace mg::documents
