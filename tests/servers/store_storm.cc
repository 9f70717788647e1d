// Writes into a store and says what was acknowledged; for tests that kill it or make its disk fail.
//
//   storm PATH storm CALLERS    inserts {_id: n} for ever from so many callers: "ack n" once each is acknowledged
//   storm PATH write COUNT      inserts one after the other: "ack n", or "fail n CODE text"
//   storm PATH open             "open", or "fail 0 CODE text"
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "mg/runtime/loop.h"
#include "mg/store/documents/collection.h"
#include "mg/store/embedded/embedded.h"

namespace mg::documents {
namespace {

// One system call a line, so that what is said is said when the process is killed.
void say(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(1, text.data(), text.size()) < 0) std::abort();
}

Task<void> insert_for_ever(Collection<> things, std::int64_t& next) {
  for (;;) {
    const std::int64_t id = ++next;
    auto done =
        co_await things.insert(Document{{"_id", id}, {"text", std::string(100, 'x')}}, {.deadline = Deadline::never()});
    if (!done) {
      say("fail " + std::to_string(id) + " " + std::to_string(done.error().code) + " " + done.error().detail);
      co_return;
    }
    say("ack " + std::to_string(id));
  }
}

Task<void> insert_some(Collection<> things, Loop& loop, std::int64_t count) {
  for (std::int64_t id = 1; id <= count; ++id) {
    auto done = co_await things.insert(Document{{"_id", id}, {"text", std::string(100, 'x')}});
    say(done ? "ack " + std::to_string(id)
             : "fail " + std::to_string(id) + " " + std::to_string(done.error().code) + " " + done.error().detail);
  }
  loop.stop();
}

int run(const std::string& path, const std::string& what, std::int64_t count) {
  auto store = Embedded::open({.path = path, .timeout = std::chrono::milliseconds(20'000), .checkpoint_pages = 50});
  if (!store) {
    say("fail 0 " + std::to_string(store.error().code) + " " + store.error().detail);
    return 1;
  }
  say("open");
  if (what == "open") return 0;
  Loop loop;
  std::int64_t next = 0;
  loop.post([&] {
    if (what == "write") return spawn(insert_some({**store, "things"}, loop, count));
    for (std::int64_t i = 0; i < count; ++i) spawn(insert_for_ever({**store, "things"}, next));
  });
  loop.run();
  (*store)->close();
  while (loop.poll()) {
  }
  return 0;
}

}  // namespace
}  // namespace mg::documents

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  return mg::documents::run(argv[1], argv[2], argc > 3 ? std::atoll(argv[3]) : 0);
}
