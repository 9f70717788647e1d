#include "registry/etcd/view.h"

#include <algorithm>
#include <utility>

#include "registry/adapter.h"

namespace mg::registry::etcd {
namespace {

// `service` with just this node.
Service with_node(const Service& service, const Node& node) {
  Service one{.name = service.name,
              .version = service.version,
              .metadata = service.metadata,
              .endpoints = service.endpoints,
              .nodes = {}};
  one.nodes.push_back(node);
  return one;
}

}  // namespace

void View::tell(Action action, const Service& service) const {
  if (service.nodes.size() == 1) return tell_(action, service);
  for (const Node& node : service.nodes) tell_(action, with_node(service, node));
}

std::int64_t View::known_up_to(const std::string& key) const {
  std::int64_t revision = 0;
  for (const auto& [prefix, read] : read_) {
    if (key.starts_with(prefix)) revision = std::max(revision, read);
  }
  return revision;
}

void View::put(const std::string& key, Service service, std::int64_t revision) {
  if (revision > known_up_to(key)) set(key, std::move(service), revision);
}

void View::set(const std::string& key, Service service, std::int64_t revision) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) {
    by_name_[service.name].insert(key);
    const Entry& made = entries_.emplace(key, Entry{std::move(service), revision}).first->second;
    tell(Action::kCreate, made.service);
    return;
  }
  Entry& entry = at->second;
  if (revision <= entry.revision) return;
  const bool same_node = entry.service.name == service.name && entry.service.nodes.size() == 1 &&
                         service.nodes.size() == 1 && entry.service.nodes[0].id == service.nodes[0].id;
  if (!same_node && entry.service != service) {
    drop(at);
    return set(key, std::move(service), revision);
  }
  entry.revision = revision;
  entry.doomed = Clock::TimePoint::max();
  if (entry.service == service) return;
  entry.service = std::move(service);
  tell(Action::kUpdate, entry.service);
}

void View::erase(const std::string& key, std::int64_t revision) {
  const auto at = entries_.find(key);
  if (at != entries_.end() && revision > at->second.revision && revision > known_up_to(key)) drop(at);
}

void View::drop(Entries::iterator at) {
  const Service gone = std::move(at->second.service);
  const auto keys = by_name_.find(gone.name);
  keys->second.erase(at->first);
  if (keys->second.empty()) by_name_.erase(keys);
  entries_.erase(at);
  tell(Action::kDelete, gone);
}

void View::merge(const std::string& prefix, std::vector<Record> records, std::int64_t revision) {
  if (revision <= known_up_to(prefix)) return;  // A later answer was quicker.
  std::set<std::string, std::less<>> there;
  for (const Record& record : records) there.insert(record.key);
  for (auto at = entries_.lower_bound(prefix); at != entries_.end() && at->first.starts_with(prefix);) {
    const auto next = std::next(at);
    if (!there.contains(at->first) && at->second.revision <= revision && at->second.doomed == Clock::TimePoint::max()) {
      drop(at);
    }
    at = next;
  }
  std::ranges::sort(records, {}, &Record::revision);
  for (Record& record : records) set(record.key, std::move(record.service), record.revision);
  read_[prefix] = revision;
}

void View::doom(Clock::TimePoint end) {
  read_.clear();
  for (auto& [key, entry] : entries_) {
    entry.revision = 0;
    entry.doomed = std::min(entry.doomed, end);
  }
}

void View::erase_doomed(Clock::TimePoint now) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto next = std::next(at);
    if (at->second.doomed <= now) drop(at);
    at = next;
  }
}

void View::reached(std::int64_t revision) {
  std::erase_if(read_, [&](const auto& each) { return each.second <= revision; });
}

std::vector<Service> View::of(const std::string& name) const {
  std::vector<Service> grouped;
  if (const auto keys = by_name_.find(name); keys != by_name_.end()) {
    for (const std::string& key : keys->second) group_by_version(grouped, entries_.at(key).service);
  }
  return grouped;
}

std::vector<Service> View::all() const {
  std::vector<Service> grouped;
  for (const auto& [name, keys] : by_name_) std::ranges::move(of(name), std::back_inserter(grouped));
  return grouped;
}

}  // namespace mg::registry::etcd
