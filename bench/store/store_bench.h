// bench/store/store_bench.h -- the rows of the stores' benchmark, one function for each store.
#pragma once

#include <string>

#include "utils/bench_case.h"

namespace mg::bench {

void memory_rows(Report& report);
// `address`: of an empty redis-server, host:port.
void redis_rows(Report& report, const std::string& address);
void embedded_rows(Report& report);
// `url`: of a MongoDB with nothing in its database "bench".
void mongo_rows(Report& report, const std::string& url);

}  // namespace mg::bench
