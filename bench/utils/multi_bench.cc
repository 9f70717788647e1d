// A thousand tasks that do nothing, run at once, beside as many functions posted to a bare io_context.
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <vector>

#include "mg/runtime/loop.h"
#include "mg/utils/multi/run.h"
#include "utils/bench_case.h"

namespace mg::bench {
namespace {

constexpr std::size_t kTasks = 1000;

Task<Result<int>> nothing(int i) {
  return Result<int>(i);
}

Task<void> run_all(Loop& loop, bool& done) {
  std::vector<multi::Job<int>> jobs;
  jobs.reserve(kTasks);
  for (std::size_t i = 0; i < kTasks; ++i) jobs.emplace_back([i] { return nothing(static_cast<int>(i)); });
  keep(co_await multi::run<int>(loop, std::move(jobs)));
  done = true;
}

}  // namespace

void multi_rows(Report& report) {
  Loop loop;
  boost::asio::io_context context(1);
  report.row(
      {"multi: 1,000 empty tasks, for each", 3}, kTasks,
      [&] {
        bool done = false;
        loop.post_always([&] { spawn(run_all(loop, done)); });
        while (!done) loop.poll();
      },
      [&] {
        std::size_t done = 0;
        for (std::size_t i = 0; i < kTasks; ++i) boost::asio::post(context, [&done] { ++done; });
        context.run();
        context.restart();
        keep(done);
      });
}

}  // namespace mg::bench
