#include "store/memory/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "codec/crc32c.h"

namespace mg::memory {
namespace {

constexpr std::string_view kMagic = "MGMEM001";
constexpr std::uint8_t kOctets = 0x80;  // Kinds below are those of dtype::Kind.
constexpr int kMaxDepth = 512;

void put(std::string& out, std::unsigned_integral auto value) {
  std::byte raw[sizeof value];
  mg::store<std::remove_const_t<decltype(value)>>(raw, value, std::endian::little);
  out.append(reinterpret_cast<const char*>(raw), sizeof raw);
}

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

void put_value(std::string& out, const dtype::Value& value) {
  put(out, static_cast<std::uint8_t>(value.kind()));
  switch (value.kind()) {
    case dtype::Kind::kNull:
      break;
    case dtype::Kind::kBool:
      put(out, static_cast<std::uint8_t>(value.as_bool()));
      break;
    case dtype::Kind::kInt:
      put(out, static_cast<std::uint64_t>(value.as_int()));
      break;
    case dtype::Kind::kUint:
      put(out, value.as_uint());
      break;
    case dtype::Kind::kDouble:
      put(out, std::bit_cast<std::uint64_t>(value.as_double()));
      break;
    case dtype::Kind::kText:
      put_text(out, value.as_text());
      break;
    case dtype::Kind::kList:
      put(out, static_cast<std::uint32_t>(value.as_list().size()));
      for (const auto& item : value.as_list()) put_value(out, item);
      break;
    case dtype::Kind::kDict:
      put(out, static_cast<std::uint32_t>(value.as_dict().size()));
      for (const auto& [key, item] : value.as_dict()) {
        put_text(out, key);
        put_value(out, item);
      }
      break;
  }
}

// Reads from the front; once something is missing everything is.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  bool good() const { return good_; }
  bool at_end() const { return in_.empty(); }

  template <std::unsigned_integral T>
  T number() {
    const std::string_view raw = take(sizeof(T));
    return raw.empty() ? T{0} : load<T>(as_bytes(raw).data(), std::endian::little);
  }
  std::string_view text() { return take(number<std::uint32_t>()); }

  dtype::Value value(std::uint8_t kind, int depth = 0) {
    if (depth > kMaxDepth) good_ = false;
    if (!good_) return {};
    switch (static_cast<dtype::Kind>(kind)) {
      case dtype::Kind::kNull:
        return {};
      case dtype::Kind::kBool:
        return number<std::uint8_t>() != 0;
      case dtype::Kind::kInt:
        return static_cast<std::int64_t>(number<std::uint64_t>());
      case dtype::Kind::kUint:
        return number<std::uint64_t>();
      case dtype::Kind::kDouble:
        return std::bit_cast<double>(number<std::uint64_t>());
      case dtype::Kind::kText:
        return text();
      case dtype::Kind::kList: {
        dtype::List list;
        for (std::uint32_t left = number<std::uint32_t>(); left > 0 && good_; --left) {
          list.push_back(value(number<std::uint8_t>(), depth + 1));
        }
        return list;
      }
      case dtype::Kind::kDict: {
        std::vector<dtype::Dict::Entry> entries;
        for (std::uint32_t left = number<std::uint32_t>(); left > 0 && good_; --left) {
          std::string key(text());
          entries.emplace_back(std::move(key), value(number<std::uint8_t>(), depth + 1));
        }
        return dtype::Dict(std::move(entries));
      }
    }
    good_ = false;
    return {};
  }

 private:
  std::string_view take(std::size_t size) {
    if (!good_ || in_.size() < size) {
      good_ = false;
      return {};
    }
    const std::string_view out = in_.substr(0, size);
    in_.remove_prefix(size);
    return out;
  }
  std::string_view in_;
  bool good_ = true;
};

}  // namespace

std::string write_snapshot(std::span<const Record> records, Clock::WallTime now, std::uint64_t* written) {
  std::string out(kMagic);
  *written = 0;
  for (const auto& record : records) {
    if (!record.value.value() && !record.value.octets()) continue;
    put(out, std::uint8_t{1});
    put_text(out, record.key);
    // A record at the very end of its life: one nanosecond more than never.
    const std::int64_t until = record.expiry.count() <= 0 ? 0 : (now + record.expiry).time_since_epoch().count();
    put(out, static_cast<std::uint64_t>(until));
    if (const auto* octets = record.value.octets()) {
      put(out, kOctets);
      put_text(out, as_text(*octets));
    } else {
      put_value(out, *record.value.value());
    }
    ++*written;
  }
  put(out, std::uint8_t{0});
  put(out, *written);
  put(out, codec::crc32c(as_bytes(out)));
  return out;
}

Result<std::vector<Record>> read_snapshot(std::string_view octets, Clock::WallTime now) {
  constexpr std::size_t kTail = 4;
  if (!octets.starts_with(kMagic)) return fail(code::kInvalid, "no snapshot of a memory store");
  if (octets.size() < kMagic.size() + kTail ||
      codec::crc32c(as_bytes(octets.substr(0, octets.size() - kTail))) !=
          load<std::uint32_t>(as_bytes(octets).data() + octets.size() - kTail, std::endian::little)) {
    return fail(code::kInvalid, "the snapshot is cut short or damaged (its checksum differs)");
  }
  Reader in(octets.substr(kMagic.size(), octets.size() - kMagic.size() - kTail));
  std::vector<Record> out;
  std::uint64_t count = 0;
  while (in.number<std::uint8_t>() == 1) {
    Record record;
    record.key = in.text();
    const auto until = static_cast<std::int64_t>(in.number<std::uint64_t>());
    const auto kind = in.number<std::uint8_t>();
    if (kind == kOctets) {
      record.value = as_bytes(in.text());
    } else {
      record.value = in.value(kind);
    }
    if (!in.good()) break;
    ++count;
    if (until != 0) record.expiry = std::chrono::nanoseconds(until) - now.time_since_epoch();
    if (until == 0 || record.expiry.count() > 0) out.push_back(std::move(record));
  }
  const bool whole = in.number<std::uint64_t>() == count && in.good() && in.at_end();
  if (!whole) return fail(code::kInvalid, "the snapshot is damaged");
  return out;
}

Result<void> replace_file(const std::string& file, std::string_view octets) {
  const std::string draft = fmt::format("{}.{}.draft", file, ::getpid());
  const auto failed = [&](const char* what) {
    const int why = errno;
    ::unlink(draft.c_str());
    return fail(code::kServer, "{}: {} ({})", file, what, std::strerror(why));
  };
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failed("cannot be written");
  while (!octets.empty()) {
    const ssize_t wrote = ::write(fd, octets.data(), octets.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      const int why = errno;
      ::close(fd);
      errno = why;
      return failed("cannot be written");
    }
    octets.remove_prefix(static_cast<std::size_t>(wrote));
  }
  const bool synced = ::fsync(fd) == 0;
  const int why = errno;
  ::close(fd);
  errno = why;
  if (!synced) return failed("is not on disk");
  if (::rename(draft.c_str(), file.c_str()) != 0) return failed("cannot be replaced");
  // The name is on disk once its folder is.
  const std::size_t slash = file.rfind('/');
  const std::string folder = slash == file.npos ? "." : slash == 0 ? "/" : file.substr(0, slash);
  const int dir = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return fail(code::kServer, "{}: its folder cannot be opened ({})", file, std::strerror(errno));
  const bool named = ::fsync(dir) == 0;
  ::close(dir);
  if (!named) return fail(code::kServer, "{}: its folder is not on disk", file);
  return {};
}

Result<std::string> read_file(const std::string& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return fail(errno == ENOENT ? code::kNotFound : code::kServer, "{}: cannot be read ({})", file,
                std::strerror(errno));
  }
  std::string out;
  char block[64 * 1024];
  for (;;) {
    const ssize_t got = ::read(fd, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int why = errno;
      ::close(fd);
      return fail(code::kServer, "{}: cannot be read ({})", file, std::strerror(why));
    }
    if (got == 0) break;
    out.append(block, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return out;
}

}  // namespace mg::memory
