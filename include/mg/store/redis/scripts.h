// mg/store/redis/scripts.h -- Lua scripts at the server. In quotes: the words of the Redis documentation.
//
//   const Script kTake("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0");
//   Result<Reply> reply = co_await redis.run(kTake, {"lock:7"}, {token});
#pragma once

#include "mg/store/redis/port.h"

namespace mg::redis {

// A script and its SHA-1. Threads: const-shared.
class Script {
 public:
  explicit Script(std::string text);
  const std::string& text() const { return text_; }
  const std::string& sha() const { return sha_; }

 private:
  std::string text_;
  std::string sha_;
};

class Scripts : public virtual Port {
 public:
  // EVALSHA, and EVAL when the server does not know it. Errors: also what the script raises; the twin in this process
  // has no scripts: kInvalid
  Task<Result<Reply>> run(const Script& script, const Texts& keys, const Texts& arguments, Within within = {});
  // "Invoke the execution of a server-side Lua script."
  Task<Result<Reply>> eval(std::string_view script, const Texts& keys, const Texts& arguments, Within within = {}) {
    Command command("EVAL", script, keys.size());
    return ask<Reply>(within, command.add_all(keys).add_all(arguments));
  }
  // "Evaluate a script from the server's cache by its SHA1 digest." Errors: also kNotFound  it does not know it
  Task<Result<Reply>> evalsha(std::string_view sha, const Texts& keys, const Texts& arguments, Within within = {}) {
    Command command("EVALSHA", sha, keys.size());
    return ask<Reply>(within, command.add_all(keys).add_all(arguments));
  }
  // "This is a read-only variant of the EVAL command that cannot execute commands that modify data."
  Task<Result<Reply>> eval_ro(std::string_view script, const Texts& keys, const Texts& arguments, Within within = {}) {
    Command command("EVAL_RO", script, keys.size());
    return ask<Reply>(within, command.add_all(keys).add_all(arguments));
  }
  // "Invoke a function", of a library loaded before.
  Task<Result<Reply>> fcall(std::string_view function, const Texts& keys, const Texts& arguments, Within within = {}) {
    Command command("FCALL", function, keys.size());
    return ask<Reply>(within, command.add_all(keys).add_all(arguments));
  }
  // "Load a library to Redis." Its name. Errors: also kInvalid  there is one and `replace` is false
  Task<Result<std::string>> function_load(std::string_view text, bool replace = true, Within within = {}) {
    return ask<std::string>(within,
                            replace ? Command("FUNCTION", "LOAD", "REPLACE", text) : Command("FUNCTION", "LOAD", text));
  }
  // "Load a script into the scripts cache, without executing it." Its SHA-1.
  Task<Result<std::string>> script_load(std::string_view script, Within within = {}) {
    return ask<std::string>(within, Command("SCRIPT", "LOAD", script));
  }
  Task<Result<std::vector<std::int64_t>>> script_exists(const Texts& shas, Within within = {}) {
    return ask<std::vector<std::int64_t>>(within, std::move(Command("SCRIPT", "EXISTS").add_all(shas)));
  }
  Task<Result<void>> script_flush(Within within = {}) { return ask<Ok>(within, Command("SCRIPT", "FLUSH")); }
};

}  // namespace mg::redis
