// mg/store/documents/errors.h -- what may go wrong with documents, and what to do then.
//
//   if (is_duplicate_key(inserted.error())) …;       // somebody was faster
//   if (is_outcome_unknown(error)) …;                // it may have happened: read, or repeat what may be repeated
#pragma once

#include <cstdint>

#include "mg/base/error.h"

namespace mg::documents {

// Codes of errors from document stores:
//   code::kInvalid      the call itself is wrong: a path, a value, a document too large; nothing happened
//   code::kExists       a unique index holds that key already; nothing happened (of several writes: see Written)
//   code::kNotFound     no document, where one is asked for
//   code::kForbidden    guarded by a token that is too old; or the server refuses us
//   code::kTimeout      the deadline passed; nothing was written
//   code::kTooMany      more results than the store's limits allow; or its queue is full
//   code::kUnavailable  the store, or its primary, is not there; or it has closed; nothing was written
//   code::kServer       stored data is damaged, or an error of the server; detail says
inline constexpr std::int32_t kConflict = 409;        // A transaction met another: begin it again.
inline constexpr std::int32_t kOutcomeUnknown = 520;  // Whether the write happened cannot be known.

inline bool is_duplicate_key(const Error& error) {
  return error.code == code::kExists;
}
inline bool is_no_document(const Error& error) {
  return error.code == code::kNotFound;
}
inline bool is_outcome_unknown(const Error& error) {
  return error.code == kOutcomeUnknown;
}
inline bool is_conflict(const Error& error) {
  return error.code == kConflict;
}

}  // namespace mg::documents
