// What becomes of a process that gets no more memory: one line on its standard error, then its end. Half of what a
// request changed may be in memory by then, so nothing is tried again; what is stored was stored whole.
#pragma once

namespace mg {

// From now on, for `new`; a handler that is set already stays.
void end_when_out_of_memory() noexcept;

}  // namespace mg
