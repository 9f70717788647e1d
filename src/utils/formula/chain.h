// utils/formula/chain.h -- a compiled formula as a chain of functions, each of which goes on with the next.
//
//   std::vector<Link> chain = make_chain(code);
//   const double x = run_chain(chain, values);    // NaN: Machine says what it means
//
// There is one function for each instruction and kind of operand. It gets the accumulator in a register, and jumps to
// the next one itself, so that the processor learns for each place in the formula what comes behind it. The first NaN
// ends the chain: whether it is a fault, and which, is found by Machine, from the start.
#pragma once

#include <cstddef>
#include <vector>

#include "utils/formula/code.h"

namespace mg::formula::detail {

inline constexpr std::size_t kChainTemporaries = 32;

// Of code that calls functions of the user, has a noerr, or needs more temporaries: a chain that only says NaN.
std::vector<Link> make_chain(const Code& code);

// Whether the instruction there and the next are "/ 10, 100 or 1000" and "+ or - a constant that is plain".
bool begins_percentage(const Code& code, std::size_t at);

// Requires: as many values as its code has variables.
inline double run_chain(const std::vector<Link>& chain, const double* values) {
  double temporaries[kChainTemporaries];
  return chain.front().step(chain.data(), values, temporaries, 0);
}

}  // namespace mg::formula::detail
