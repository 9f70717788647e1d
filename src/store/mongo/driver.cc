#include "store/mongo/driver.h"

#include <mutex>
#include <string_view>

#include "mg/base/log.h"
#include "mg/store/documents/errors.h"

namespace mg::documents {
namespace {

// Source: MongoDB, error_codes.yml.
std::int32_t server_code(std::int64_t number, Doing doing) {
  switch (number) {
    case 11000:
    case 11001:
    case 12582:  // DuplicateKey
    case 68:     // IndexAlreadyExists
    case 85:     // IndexOptionsConflict
    case 86:     // IndexKeySpecsConflict
      return code::kExists;
    case 50:   // MaxTimeMSExpired
    case 262:  // ExceededTimeLimit
      return doing == Doing::kReading ? code::kTimeout : kOutcomeUnknown;
    case 64:   // WriteConcernFailed
    case 100:  // UnsatisfiableWriteConcern: applied here, not by a majority
      return kOutcomeUnknown;
    case 112:  // WriteConflict
    case 244:  // TransactionAborted
    case 251:  // NoSuchTransaction
      return kConflict;
    case 6:      // HostUnreachable
    case 7:      // HostNotFound
    case 89:     // NetworkTimeout
    case 91:     // ShutdownInProgress
    case 189:    // PrimarySteppedDown
    case 9001:   // SocketException
    case 10058:  // NotWritablePrimary, old
    case 10107:  // NotWritablePrimary
    case 11600:  // InterruptedAtShutdown
    case 11602:  // InterruptedDueToReplStateChange
    case 13435:  // NotPrimaryNoSecondaryOk
    case 13436:  // NotPrimaryOrSecondary
      return code::kUnavailable;
    case 13:
      return code::kForbidden;
    case 18:
      return code::kUnauthorized;
    case 26:  // NamespaceNotFound
    case 27:  // IndexNotFound
      return code::kNotFound;
    case 2:      // BadValue
    case 9:      // FailedToParse
    case 14:     // TypeMismatch
    case 20:     // IllegalOperation
    case 22:     // InvalidBSON
    case 28:     // PathNotViable
    case 40:     // ConflictingUpdateOperators
    case 52:     // DollarPrefixedFieldName
    case 54:     // NotSingleValueField
    case 56:     // EmptyFieldName
    case 57:     // DottedFieldName
    case 59:     // CommandNotFound
    case 66:     // ImmutableField
    case 67:     // CannotCreateIndex
    case 72:     // InvalidOptions
    case 73:     // InvalidNamespace
    case 115:    // CommandNotSupported
    case 121:    // DocumentValidationFailure
    case 171:    // CannotIndexParallelArrays
    case 197:    // InvalidIndexSpecificationOption
    case 263:    // OperationNotSupportedInTransaction
    case 10140:  // $push, $addToSet, $pull of what is no array: before 2.6, and other servers
    case 10141:
    case 10142:
    case 10143:
    case 10334:  // BSONObjectTooLarge
    case 17280:  // KeyTooLong
      return code::kInvalid;
    default:
      return code::kServer;
  }
}

void log_line(mongoc_log_level_t level, const char* domain, const char* text, void*) {
  // What a transaction's end cannot change: the server has ended it already.
  if (std::string_view(text).starts_with("Error in abortTransaction")) return;
  if (level <= MONGOC_LOG_LEVEL_ERROR) {
    log::error("{}: {}", domain, text);
  } else if (level == MONGOC_LOG_LEVEL_WARNING) {
    log::warn("{}: {}", domain, text);
  }
}

}  // namespace

Result<Document> to_document(const bson_t* from) {
  auto out = decode({reinterpret_cast<const std::byte*>(bson_get_data(from)), from->len},
                    {.max_bytes = 48 * 1024 * 1024, .max_depth = Limits().max_depth + 20});
  if (!out) return fail(code::kServer, "a document from the server: {}", out.error().detail);
  return out;
}

Error to_error(std::int64_t number, const std::string& text, Doing doing) {
  return make_error(server_code(number, doing), fmt::format("{} ({})", text, number));
}

Error to_error(const bson_error_t& error, const bson_t* reply, Doing doing) {
  const auto labelled = [&](const char* label) { return reply != nullptr && mongoc_error_has_label(reply, label); };
  const std::string text = fmt::format("{} ({})", error.message, error.code);
  if (labelled("UnknownTransactionCommitResult")) return make_error(kOutcomeUnknown, text);
  if (labelled("TransientTransactionError")) return make_error(kConflict, text);
  switch (error.domain) {
    case MONGOC_ERROR_SERVER_SELECTION:
      return make_error(error.code == MONGOC_ERROR_CLIENT_AUTHENTICATE ? code::kUnauthorized : code::kUnavailable,
                        text);
    case MONGOC_ERROR_STREAM:
      return make_error(doing == Doing::kReading ? code::kUnavailable : kOutcomeUnknown, text);
    case MONGOC_ERROR_CLIENT:
      if (error.code == MONGOC_ERROR_CLIENT_AUTHENTICATE) return make_error(code::kUnauthorized, text);
      return make_error(code::kInvalid, text);
    case MONGOC_ERROR_BSON:
    case MONGOC_ERROR_COMMAND:
    case MONGOC_ERROR_TRANSACTION:
      return make_error(code::kInvalid, text);
    case MONGOC_ERROR_WRITE_CONCERN:
      return make_error(kOutcomeUnknown, text);
    default:
      return make_error(server_code(error.code, doing), text);
  }
}

void start_driver() {
  static std::once_flag once;
  std::call_once(once, [] {
    mongoc_init();
    mongoc_log_set_handler(log_line, nullptr);
    mongoc_handshake_data_append("microgame", nullptr, nullptr);
  });
}

}  // namespace mg::documents
