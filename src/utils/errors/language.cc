#include "mg/utils/errors/language.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_set>

namespace mg::errors {
namespace {

using Row = std::pair<std::int32_t, std::string_view>;

constexpr Row kEnglishTexts[] = {
    {code::kUniversal, "universal"},
    {code::kUnknown, "unknown"},
    {code::kInvalid, "invalid"},
    {code::kExists, "exists"},
    {code::kStarted, "started"},
    {code::kFinished, "finished"},
    {code::kOther, "other"},
    {code::kUnauthorized, "Unauthorized"},
    {code::kForbidden, "Forbidden"},
    {code::kNotFound, "Not Found"},
    {code::kTimeout, "Request Timeout"},
    {code::kTooMany, "Too Many Requests"},
    {code::kServer, "Internal Server Error"},
    {code::kUnavailable, "Service Unavailable"},
};

constexpr Row kChineseTexts[] = {
    {code::kUniversal, "通用错误"},
    {code::kUnknown, "未知错误"},
    {code::kInvalid, "参数无效"},
    {code::kExists, "已存在"},
    {code::kStarted, "已开始"},
    {code::kFinished, "已结束"},
    {code::kOther, "其他错误"},
    {400, "请求错误"},
    {code::kUnauthorized, "未授权"},
    {code::kForbidden, "禁止访问"},
    {code::kNotFound, "未找到"},
    {405, "方法不允许"},
    {code::kTimeout, "请求超时"},
    {409, "冲突"},
    {413, "内容过大"},
    {code::kTooMany, "请求过多"},
    {code::kServer, "服务器内部错误"},
    {501, "未实现"},
    {502, "网关错误"},
    {code::kUnavailable, "服务不可用"},
    {504, "网关超时"},
};

// Sorted by code. A table never changes once it is published, and is never freed: a reader may still be in it.
using Table = std::vector<Row>;

std::string_view find(const Table& table, std::int32_t code) {
  const auto at = std::ranges::lower_bound(table, code, {}, &Row::first);
  return at != table.end() && at->first == code ? at->second : std::string_view();
}

constinit std::atomic<const Table*> chosen{nullptr};

std::string_view look_up(std::int32_t code) noexcept {
  const Table* table = chosen.load(std::memory_order_acquire);
  return table != nullptr ? find(*table, code) : std::string_view();
}

class Languages {
 public:
  using Tables = std::map<std::string, const Table*, std::less<>>;

  Languages() {
    auto first = std::make_unique<Tables>();
    for (const auto& [name, rows] : {std::pair(kChinese, std::span<const Row>(kChineseTexts)),
                                     std::pair(kEnglish, std::span<const Row>(kEnglishTexts))}) {
      (*first)[std::string(name)] = keep(std::make_unique<Table>(rows.begin(), rows.end()));
    }
    publish(std::move(first));
  }

  const Tables& tables() const { return *tables_.load(std::memory_order_acquire); }

  const Table* table(std::string_view language) const {
    const auto found = tables().find(language);
    return found != tables().end() ? found->second : nullptr;
  }

  void add(const std::string& name, const CodeTexts& texts) {
    const std::lock_guard lock(mutex_);
    auto next = std::make_unique<Tables>(tables());
    const Table*& slot = (*next)[name];
    std::map<std::int32_t, std::string_view> rows;
    if (slot != nullptr) rows.insert(slot->begin(), slot->end());
    for (const auto& [code, text] : texts) rows[code] = *texts_.insert(text).first;
    const Table* const before = slot;
    slot = keep(std::make_unique<Table>(rows.begin(), rows.end()));
    if (before != nullptr && chosen.load() == before) chosen.store(slot, std::memory_order_release);
    publish(std::move(next));
  }

  void choose(const std::string& name, const Table* table) {
    const std::lock_guard lock(mutex_);
    if (const auto found = tables().find(name); found != tables().end()) table = found->second;  // The newest.
    name_ = name;
    chosen.store(table, std::memory_order_release);
    set_status_lookup(&look_up);
  }

  std::string name() {
    const std::lock_guard lock(mutex_);
    return name_;
  }

 private:
  const Table* keep(std::unique_ptr<Table> table) { return kept_.emplace_back(std::move(table)).get(); }
  void publish(std::unique_ptr<Tables> next) {
    tables_.store(next.get(), std::memory_order_release);
    all_.push_back(std::move(next));
  }

  std::mutex mutex_;  // Of everything below but the pointer that readers load.
  std::string name_;
  std::unordered_set<std::string> texts_;  // Its elements stay where they are.
  std::vector<std::unique_ptr<Table>> kept_;
  std::vector<std::unique_ptr<Tables>> all_;
  std::atomic<const Tables*> tables_{nullptr};
};

// Never destroyed: errors are made until the last static is gone.
Languages& all() {
  static Languages& only = *new Languages;
  return only;
}

Result<const Table*> need(std::string_view language) {
  if (const Table* table = all().table(language)) return table;
  return fail(code::kNotFound, "no language \"{}\": there are {}; add_language adds one", language,
              fmt::join(languages(), ", "));
}

}  // namespace

std::string_view text(std::string_view language, std::int32_t code) {
  const Table* const own = all().table(language);
  if (own == nullptr) return "unknown language";
  for (const Table* table : {own, all().table(kEnglish)}) {
    if (const std::string_view found = find(*table, code); !found.empty()) return found;
  }
  return http_reason(code);
}

Result<void> add_language(std::string_view language, const CodeTexts& texts) {
  const std::string name(language);
  if (name.empty()) return fail(code::kInvalid, "a language needs a name");
  for (const auto& [code, text] : texts) {
    if (text.empty()) return fail(code::kInvalid, "language {}: the text of code {} is empty", name, code);
  }
  all().add(name, texts);
  return {};
}

Result<void> add_text(std::string_view language, std::int32_t code, std::string_view text) {
  if (auto known = need(language); !known) return std::unexpected(std::move(known).error());
  return add_language(language, {{code, std::string(text)}});
}

Result<void> set_language(std::string_view language) {
  auto table = need(language);
  if (!table) return std::unexpected(std::move(table).error());
  all().choose(std::string(language), *table);
  return {};
}

std::string language() {
  return all().name();
}

std::vector<std::string> languages() {
  std::vector<std::string> names;
  for (const auto& [name, table] : all().tables()) names.push_back(name);
  return names;
}

bool has_language(std::string_view language) {
  return all().table(language) != nullptr;
}

}  // namespace mg::errors
