#include "mg/rpc/context.h"

namespace mg::rpc {

const Meta& Context::empty_meta() {
  static const Meta empty;
  return empty;
}

}  // namespace mg::rpc
