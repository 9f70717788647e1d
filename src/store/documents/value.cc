#include "mg/store/documents/value.h"

#include <algorithm>
#include <atomic>
#include <bit>

#include "mg/base/bytes.h"
#include "mg/base/clock.h"
#include "mg/base/random.h"

namespace mg::documents {

ObjectId ObjectId::make() {
  struct Process {
    std::array<std::byte, 5> random;
    std::atomic<std::uint32_t> counter;
    Process() {
      SystemRandom source;
      source.fill(random);
      counter = static_cast<std::uint32_t>(source.next());
    }
  };
  static Process process;
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(system_clock().wall().time_since_epoch()).count();
  const std::uint32_t number = process.counter.fetch_add(1, std::memory_order_relaxed);
  ObjectId id;
  mg::store<std::uint32_t>(id.octets.data(), static_cast<std::uint32_t>(seconds), std::endian::big);
  std::ranges::copy(process.random, id.octets.begin() + 4);
  for (std::size_t i = 0; i < 3; ++i) id.octets[9 + i] = static_cast<std::byte>(number >> (16 - 8 * i));
  return id;
}

std::string ObjectId::hex() const {
  std::string out;
  for (const std::byte each : octets) {
    out += "0123456789abcdef"[static_cast<unsigned>(each) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned>(each) & 15];
  }
  return out;
}

Document::Document() = default;
Document::Document(const Document&) = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(const Document&) = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;
Document::Document(std::initializer_list<Field> fields) : fields_(fields) {}

const Value* Document::find(std::string_view name) const {
  for (const Field& each : fields_) {
    if (each.name == name) return &each.value;
  }
  return nullptr;
}
Value* Document::find(std::string_view name) {
  return const_cast<Value*>(std::as_const(*this).find(name));
}
const Value& Document::at(std::string_view name) const {
  static const Value null;
  const Value* const found = find(name);
  return found ? *found : null;
}
Document& Document::set(std::string_view name, Value value) {
  if (Value* const found = find(name)) {
    *found = std::move(value);
  } else {
    fields_.push_back({std::string(name), std::move(value)});
  }
  return *this;
}
void Document::append(std::string name, Value value) {
  fields_.push_back({std::move(name), std::move(value)});
}
bool Document::erase(std::string_view name) {
  return std::erase_if(fields_, [&](const Field& each) { return each.name == name; }) != 0;
}
void Document::reserve(std::size_t fields) {
  fields_.reserve(fields);
}
bool operator==(const Document& a, const Document& b) {
  return a.fields_ == b.fields_;
}

std::string_view type_name(Type type) {
  constexpr std::string_view kNames[] = {"null",     "double",  "string", "object", "array", "binData",
                                         "objectId", "bool",    "date",   "regex",  "int",   "timestamp",
                                         "long",     "decimal", "minKey", "maxKey"};
  return kNames[static_cast<std::size_t>(type)];
}

}  // namespace mg::documents
