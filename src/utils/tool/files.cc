#include "mg/utils/tool/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/escape.h"
#include "mg/base/random.h"
#include "mg/utils/tool/chance.h"

namespace mg::tool {
namespace {

std::unexpected<Error> failed(std::string_view step, const std::filesystem::path& path, int error) {
  return fail(error == ENOENT ? code::kNotFound : code::kServer, "{} {}: {}", step, quote(path.native(), 200),
              std::generic_category().message(error));
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

bool path_exists(const std::filesystem::path& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 || errno != ENOENT;
}

Result<void> ensure_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return failed("making the folder", path, error.value() == ENOENT ? EIO : error.value());
  if (!std::filesystem::is_directory(path, error)) {
    return fail(code::kInvalid, "{} is no folder", quote(path.native(), 200));
  }
  return {};
}

Result<void> write_file(const std::filesystem::path& path, std::string_view octets) {
  SystemRandom random;
  const std::filesystem::path beside = path.native() + ".tmp-" + random_hex(random, 12);
  struct stat before{};
  const mode_t mode = ::stat(path.c_str(), &before) == 0 ? before.st_mode & 07777 : 0644;
  const auto give_up = [&](std::string_view step) {
    const int error = errno;
    ::unlink(beside.c_str());
    return failed(step, path, error);
  };
  {
    const File file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (file.fd() < 0) return give_up("creating a file beside");
    while (!octets.empty()) {
      const ssize_t n = ::write(file.fd(), octets.data(), octets.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return give_up("writing");
      octets.remove_prefix(static_cast<std::size_t>(n));
    }
    if (::fsync(file.fd()) != 0) return give_up("syncing");
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) return give_up("renaming to");
  // The name is on disk when the folder is.
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const File parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.fd() >= 0) ::fsync(parent.fd());
  return {};
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0) return failed("opening", path, errno);
  std::string out;
  char block[16 * 1024];
  for (;;) {
    const ssize_t n = ::read(file.fd(), block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("reading", path, errno);
    if (n == 0) return out;
    if (static_cast<std::size_t>(n) > max_bytes - out.size()) {
      return fail(code::kTooMany, "{} has more than {} octets", quote(path.native(), 200), max_bytes);
    }
    out.append(block, static_cast<std::size_t>(n));
  }
}

}  // namespace mg::tool
