#include "base/log_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

namespace mg::log {
namespace {

namespace chrono = std::chrono;
namespace fs = std::filesystem;

// Whether `rest` is what put_aside appends: .20240501-235959 or that and -001.
bool is_aside(std::string_view rest) {
  const std::string_view shape = ".00000000-000000-000";
  if (rest.size() != shape.size() && rest.size() != shape.size() - 4) return false;
  return std::ranges::equal(rest, shape.substr(0, rest.size()),
                            [](char c, char s) { return s == '0' ? c >= '0' && c <= '9' : c == s; });
}

}  // namespace

std::size_t FdOutput::put(std::string_view lines) {
  const std::size_t size = lines.size();
  auto give_up = patience_.count() == 0 ? Clock::TimePoint::max() : system_clock().now() + patience_;
  if (stuck_) give_up = Clock::TimePoint::min();
  while (!lines.empty()) {
    // A pipe that polls as writable takes a page without blocking, so the thread waits only where it can give up.
    pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
    const bool last_try = system_clock().now() >= std::min(close_by_.load(), give_up);
    if (poll(&ready, 1, last_try ? 0 : 50) == 0) {
      if (!last_try) continue;
      stuck_ = true;
      break;
    }
    const ssize_t n = ::write(fd_, lines.data(), std::min<std::size_t>(lines.size(), 4096));
    if (n < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      break;
    }
    stuck_ = false;
    lines.remove_prefix(static_cast<std::size_t>(n));
  }
  return size - lines.size();
}

FileOutput::FileOutput(LogFileOptions options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}

FileOutput::~FileOutput() {
  close();
}

void FileOutput::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void FileOutput::failed(std::string_view step) {
  problem_ = fmt::format("{} {}: {}", step, options_.path, std::error_code(errno, std::system_category()).message());
}

bool FileOutput::open() {
  const auto today = chrono::floor<chrono::days>(clock_.wall());
  for (bool again = true;; again = false) {
    if (const auto folder = fs::path(options_.path).parent_path(); !folder.empty()) {
      std::error_code ignored;  // open() tells what is wrong.
      fs::create_directories(folder, ignored);
    }
    fd_ = ::open(options_.path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    struct stat found{};
    if (fd_ < 0 || fstat(fd_, &found) != 0) {
      failed("opening");
      close();
      return false;
    }
    size_ = static_cast<std::uint64_t>(found.st_size);
    looked_ = clock_.now();
    day_ = size_ == 0 ? today : chrono::floor<chrono::days>(chrono::sys_seconds(chrono::seconds(found.st_mtim.tv_sec)));
    char last = '\n';  // A process that was killed may have left half a line.
    if (size_ != 0 && pread(fd_, &last, 1, static_cast<off_t>(size_ - 1)) == 1 && last != '\n') {
      if (::write(fd_, "\n", 1) == 1) ++size_;
    }
    if (!again || !options_.daily || day_ >= today || !put_aside()) return true;
  }
}

bool FileOutput::put_aside() {
  const auto now = clock_.wall();
  const auto day = chrono::floor<chrono::days>(now);
  const chrono::year_month_day date(day);
  const auto seconds = chrono::floor<chrono::seconds>(now - day).count();
  const std::string base =
      fmt::format("{}.{:04}{:02}{:02}-{:02}{:02}{:02}", options_.path, static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), seconds / 3600,
                  seconds / 60 % 60, seconds % 60);
  auto files = aside();
  std::string name = base;
  if (!files.empty() && files.back().starts_with(base)) {  // More than one in a second.
    const std::string_view last = files.back();
    const int number = last.size() > base.size() ? std::atoi(last.substr(base.size() + 1).data()) : 0;
    name = fmt::format("{}-{:03}", base, std::min(number + 1, 999));
  }
  if (rename(options_.path.c_str(), name.c_str()) != 0) return false;
  close();
  files.push_back(name);
  for (std::size_t i = 0; i + options_.keep < files.size(); ++i) unlink(files[i].c_str());
  return true;
}

// The names of the files put aside, the oldest first.
std::vector<std::string> FileOutput::aside() const {
  const fs::path path(options_.path);
  const std::string name = path.filename();
  std::vector<std::string> out;
  std::error_code failure;
  for (fs::directory_iterator it(path.has_parent_path() ? path.parent_path() : fs::path("."), failure), end;
       !failure && it != end; it.increment(failure)) {
    const std::string found = it->path().filename();
    if (!found.starts_with(name)) continue;
    const auto rest = std::string_view(found).substr(name.size());
    if (is_aside(rest)) out.push_back(options_.path + std::string(rest));
  }
  std::ranges::sort(out);
  return out;
}

// Whether the file is still the one of that name, at most once a second.
void FileOutput::look_after() {
  if (fd_ < 0 || clock_.now() < looked_ + chrono::seconds(1)) return;
  looked_ = clock_.now();
  struct stat ours{}, named{};
  if (fstat(fd_, &ours) != 0 || stat(options_.path.c_str(), &named) != 0 || ours.st_ino != named.st_ino ||
      ours.st_dev != named.st_dev) {
    close();
  }
}

std::size_t FileOutput::put(std::string_view lines) {
  const std::size_t size = lines.size();
  problem_.clear();
  look_after();
  while (!lines.empty()) {
    if (fd_ < 0 && !open()) break;
    const auto today = chrono::floor<chrono::days>(clock_.wall());
    // A file that cannot be put aside grows on.
    if (size_ != 0 && options_.daily && day_ < today && put_aside()) continue;
    day_ = today;
    // As many whole lines as there is room for.
    std::size_t take = lines.size();
    if (options_.max_bytes != 0 && size_ + take > options_.max_bytes) {
      const std::uint64_t room = options_.max_bytes - std::min(size_, options_.max_bytes);
      const auto end = room == 0 ? std::string_view::npos : lines.rfind('\n', room - 1);
      if (end == std::string_view::npos) {
        if (size_ != 0 && put_aside()) continue;
        take = lines.find('\n') + 1;  // One that is longer than a file may be has one to itself.
      } else {
        take = end + 1;
      }
    }
    const ssize_t n = ::write(fd_, lines.data(), take);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      failed("writing");
      break;
    }
    size_ += static_cast<std::uint64_t>(n);
    lines.remove_prefix(static_cast<std::size_t>(n));
  }
  return size - lines.size();
}

}  // namespace mg::log
