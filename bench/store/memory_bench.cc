// The memory store beside a mutex around std::unordered_map.
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "mg/store/memory/memory.h"
#include "store/store_bench.h"

namespace mg::bench {
namespace {

constexpr std::size_t kKeys = 10'000;

class Plain {
 public:
  void set(const std::string& key, std::int64_t value) {
    std::lock_guard guard(mutex_);
    map_.insert_or_assign(key, value);
  }
  bool get(const std::string& key, std::int64_t* value) {
    std::lock_guard guard(mutex_);
    const auto at = map_.find(key);
    if (at == map_.end()) return false;
    *value = at->second;
    return true;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::int64_t> map_;
};

// Each thread does `work(i)` for all keys, beginning somewhere else.
void on_threads(int threads, const auto& work) {
  const auto all = [&work](std::size_t from) {
    for (std::size_t i = 0; i < kKeys; ++i) work((from + i) % kKeys);
  };
  if (threads == 1) return all(0);
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back(all, static_cast<std::size_t>(t) * kKeys / static_cast<std::size_t>(threads));
  }
  for (auto& thread : running) thread.join();
}

}  // namespace

void memory_rows(Report& report) {
  memory::Store ours;
  Plain plain;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < kKeys; ++i) {
    keys.push_back("role:" + std::to_string(i));
  }
  // Each filled by itself, as in a program that has one of them: its records lie beside each other.
  for (std::size_t i = 0; i < kKeys; ++i) (void)ours.set(keys[i], static_cast<std::int64_t>(i));
  for (std::size_t i = 0; i < kKeys; ++i) plain.set(keys[i], static_cast<std::int64_t>(i));
  for (const int threads : {1, 8}) {
    const double bar = threads == 1 ? 1.0 : 1 / 1.5;
    const std::size_t count = kKeys * static_cast<std::size_t>(threads);
    const std::string with = threads == 1 ? ", 1 thread" : ", 8 threads";
    report.row(
        {"memory get" + with, bar}, count,
        [&] { on_threads(threads, [&](std::size_t i) { keep(ours.get<std::int64_t>(keys[i])); }); },
        [&] {
          on_threads(threads, [&](std::size_t i) {
            std::int64_t value = 0;
            keep(plain.get(keys[i], &value));
            keep(value);
          });
        });
    report.row(
        {"memory set" + with, bar}, count,
        [&] { on_threads(threads, [&](std::size_t i) { keep(ours.set(keys[i], static_cast<std::int64_t>(i))); }); },
        [&] { on_threads(threads, [&](std::size_t i) { plain.set(keys[i], static_cast<std::int64_t>(i)); }); });
  }
}

}  // namespace mg::bench
