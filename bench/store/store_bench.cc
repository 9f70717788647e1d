// The stores beside what they are measured against: one line of JSON for each row, read by bench/store.py.
//   store_bench [--quick] [--only WORD] [--redis HOST:PORT] [--mongo URL]
#include "store/store_bench.h"

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  CLI::App app("Benchmarks of the stores.");
  mg::bench::Settings settings;
  std::string redis;
  std::string mongo;
  app.add_flag("--quick", settings.quick, "fewer and shorter runs");
  app.add_option("--only", settings.only, "only rows whose name has this in it");
  app.add_option("--redis", redis, "an empty redis-server, host:port");
  app.add_option("--mongo", mongo, "mongodb://..., a server that may be written to");
  CLI11_PARSE(app, argc, argv);
  mg::bench::Report report(settings);
  mg::bench::memory_rows(report);
  mg::bench::embedded_rows(report);
  if (!redis.empty()) mg::bench::redis_rows(report, redis);
  if (!mongo.empty()) mg::bench::mongo_rows(report, mongo);
}
