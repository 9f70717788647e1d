// registry/etcd/view.h -- all records as far as they are known, by key and revision; no network.
//
//   View view([&](Action action, const Service& service) { … });   // each change, one node at a time
//   view.merge("/micro/registry/game/", answer, revision);         // what a question found
//   view.put(key, service, mod_revision);                          // what the watch tells
//
// Questions and the watch may overtake each other. Each key's revision, and that up to which a whole prefix was read,
// decide which is newer; what is older is ignored.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "mg/base/clock.h"
#include "mg/registry/registry.h"

namespace mg::registry::etcd {

class View {
 public:
  struct Record {
    std::string key;
    Service service;
    std::int64_t revision;  // Of its last put.
  };
  // Shape: `service` has one node.
  using Tell = std::function<void(Action, const Service&)>;
  explicit View(Tell tell) : tell_(std::move(tell)) {}

  void put(const std::string& key, Service service, std::int64_t revision);
  void erase(const std::string& key, std::int64_t revision);
  // Everything below `prefix` as it was at `revision`. Shape: in any order.
  void merge(const std::string& prefix, std::vector<Record> records, std::int64_t revision);

  // The revisions known mean nothing any more: etcd has lost its data. What is not put again goes with
  // erase_doomed() at or after `end`.
  void doom(Clock::TimePoint end);
  void erase_doomed(Clock::TimePoint now);

  // The watch has told everything up to here.
  void reached(std::int64_t revision);

  // Of this name, by version; nodes in order of their keys. Empty: unknown.
  std::vector<Service> of(const std::string& name) const;
  std::vector<Service> all() const;
  bool knows(const std::string& key) const { return entries_.contains(key); }
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Service service;
    std::int64_t revision;
    Clock::TimePoint doomed = Clock::TimePoint::max();
  };
  using Entries = std::map<std::string, Entry>;

  void set(const std::string& key, Service service, std::int64_t revision);
  void drop(Entries::iterator at);
  void tell(Action action, const Service& service) const;
  std::int64_t known_up_to(const std::string& key) const;

  Tell tell_;
  Entries entries_;
  std::map<std::string, std::set<std::string>> by_name_;  // Keys.
  std::map<std::string, std::int64_t> read_;              // Prefixes read, and when: younger than the watch.
};

}  // namespace mg::registry::etcd
