// base/golden.h -- for tests: the cases that say what is right, input by input (tests/golden).
//
//   const json::value file = json::parse(golden::text("codec.json"));
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace mg::golden {

// A file of them: of the folder that MG_GOLDEN_DIR names, of ours otherwise. The test fails when it is not there.
inline std::string text(std::string_view file) {
  const char* const folder = std::getenv("MG_GOLDEN_DIR");
  const std::string path = std::string(folder ? folder : MG_SOURCE_DIR "/tests/golden").append("/").append(file);
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path << " cannot be read";
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace mg::golden
