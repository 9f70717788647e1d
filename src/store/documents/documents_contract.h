// What every documents::Documents does; a test of an adapter includes this and names itself:
//
//   INSTANTIATE_TEST_SUITE_P(Embedded, DocumentsContract, ::testing::Values(DocumentsBackend{...}),
//   documents_backend_name);
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "mg/store/documents/bson.h"
#include "mg/store/documents/collection.h"
#include "mg/store/documents/tables.h"
#include "runtime/testing.h"

namespace mg::documents {

// An empty database.
class DocumentsUnderTest {
 public:
  virtual ~DocumentsUnderTest() = default;
  virtual Loop& loop() = 0;
  virtual Documents& documents() = 0;
};
struct DocumentsBackend {
  std::string name;
  std::function<std::unique_ptr<DocumentsUnderTest>()> make;
  bool transactions = true;    // A server that has none refuses them.
  bool minds_overflow = true;  // $inc beyond 64 bits is refused.
};
inline std::string documents_backend_name(const ::testing::TestParamInfo<DocumentsBackend>& info) {
  return info.param.name;
}
inline void PrintTo(const DocumentsBackend& backend, std::ostream* out) {
  *out << backend.name;
}

namespace contract {
enum class Class : std::uint8_t { kWarrior = 1, kMage = 2 };
struct Item {
  std::string kind;
  int count = 0;
  friend bool operator==(const Item&, const Item&) = default;
};
constexpr auto mg_fields(std::type_identity<Item>) {
  return fields(field("kind", &Item::kind), field("count", &Item::count));
}
struct Role {
  std::int64_t id = 0;
  std::string name;
  Class type = Class::kWarrior;
  double rate = 0;
  std::optional<std::string> guild;
  std::vector<Item> items;
  std::map<std::string, int> counters;
  std::vector<std::byte> blob;
  std::chrono::system_clock::time_point seen;
  friend bool operator==(const Role&, const Role&) = default;
};
constexpr auto mg_fields(std::type_identity<Role>) {
  return fields(field("id", &Role::id).bson("_id"), field("name", &Role::name), field("type", &Role::type),
                field("rate", &Role::rate), field("guild", &Role::guild, FieldRule::kOmitEmpty),
                field("items", &Role::items), field("counters", &Role::counters), field("blob", &Role::blob),
                field("seen", &Role::seen));
}
}  // namespace contract

class DocumentsContract : public ::testing::TestWithParam<DocumentsBackend> {
 protected:
  using Doc = Document;
  Loop& loop() { return made_->loop(); }
  Documents& store() { return made_->documents(); }
  template <class T>
  T run(Task<T> task) {
    return testing::await_on(loop(), std::move(task));
  }
  Collection<> all() { return {store(), "things"}; }
  Deadline deadline() { return Deadline::after(loop().clock(), std::chrono::seconds(15)); }
  void insert(std::vector<Doc> documents) {
    auto ids = run(all().insert_many(documents));
    ASSERT_TRUE(ids) << ids.error().detail;
  }
  // The ids of what matches, as JSON, in order: "1 2 3".
  std::string ids(Filter filter, FindOptions options = {}) {
    if (options.sort.keys().empty()) options.sort.up("_id");
    auto found = run(all().find(std::move(filter), std::move(options)));
    if (!found) return found.error().detail;
    std::string out;
    for (const Doc& each : *found) (out += out.empty() ? "" : " ") += to_json(each.at("_id"));
    return out;
  }
  std::string one(Value id) {
    auto found = run(all().find_one(by_id(std::move(id))));
    return found ? to_json(*found) : found.error().detail;
  }
  // What becomes of a document.
  std::string updated(Doc before, Update update) {
    before.set("_id", 1);
    (void)run(all().remove_many({}));
    insert({before});
    auto done = run(all().update_one(by_id(1), std::move(update)));
    if (!done) return std::to_string(done.error().code);
    Doc after = *run(all().find_one(by_id(1)));
    after.erase("_id");
    return to_json(after);
  }

  std::unique_ptr<DocumentsUnderTest> made_ = GetParam().make();
};

TEST_P(DocumentsContract, KeepsStructsAsTheyAre) {
  using contract::Role;
  Collection<Role> roles(store(), "role");
  const Role role{.id = 9'007'199'254'740'993,
                  .name = "x\u00e9\n",
                  .type = contract::Class::kMage,
                  .rate = 0.1,
                  .guild = {},
                  .items = {{"sword", 1}, {"potion", 12}},
                  .counters = {{"kills", 3}},
                  .blob = {std::byte{0}, std::byte{255}},
                  .seen = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'123))};
  auto id = run(roles.insert(role));
  ASSERT_TRUE(id) << id.error().detail;
  EXPECT_EQ(*id, Value(std::int64_t{9'007'199'254'740'993}));
  auto found = run(roles.find_one(where(&Role::name).eq(role.name) && where(&Role::type).eq(2)));
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_EQ(*found, role);
  Role changed = role;
  changed.guild = "G";
  changed.items.clear();
  auto replaced = run(roles.replace(by_id(role.id), changed));
  ASSERT_TRUE(replaced) << replaced.error().detail;
  EXPECT_EQ(replaced->modified, 1);
  EXPECT_EQ(*run(roles.find_one({})), changed);
  auto old = run(roles.find_and_update(by_id(role.id), Update().set(&Role::name, "y")));
  ASSERT_TRUE(old && *old);
  EXPECT_EQ((*old)->name, role.name);
}

TEST_P(DocumentsContract, KeepsEveryTypeOfValue) {
  Doc all_types{{"_id", ObjectId::make()},
                {"null", nullptr},
                {"double", -1.5},
                {"text", std::string("a\0b", 3)},
                {"document", Doc{{"a", Doc{}}}},
                {"array", Array{1, "x", Array{}}},
                {"binary", Binary{.octets = {std::byte{1}, std::byte{0}}}},
                {"bool", false},
                {"date", Date(std::chrono::milliseconds(-1))},
                {"int", 2147483647},
                {"long", std::int64_t{1} << 62}};
  insert({all_types});
  auto found = run(all().find_one({}));
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_EQ(to_json(*found), to_json(all_types));
  EXPECT_EQ(*found, all_types);
}

TEST_P(DocumentsContract, MakesAnObjectIdWhenThereIsNone) {
  auto id = run(all().insert(Doc{{"n", 1}}));
  ASSERT_TRUE(id) << id.error().detail;
  EXPECT_EQ(id->type(), Type::kObjectId);
  EXPECT_EQ(run(all().find_one(by_id(*id)))->at("n"), Value(1));
}

TEST_P(DocumentsContract, SecondDocumentOfAnIdIsADuplicate) {
  insert({Doc{{"_id", 1}}});
  for (const Value& id : {Value(1), Value(std::int64_t{1}), Value(1.0)}) {  // The same number.
    auto again = run(all().insert(Doc{{"_id", id}, {"n", 2}}));
    ASSERT_FALSE(again);
    EXPECT_TRUE(is_duplicate_key(again.error())) << again.error().detail;
  }
  EXPECT_EQ(one(1), R"({"_id":1})");
}

TEST_P(DocumentsContract, FindsNothingWhereThereIsNothing) {
  auto none = run(all().find_one(by_id(1)));
  ASSERT_FALSE(none);
  EXPECT_TRUE(is_no_document(none.error()));
  EXPECT_EQ(ids({}), "");
  EXPECT_EQ(*run(all().count()), 0);
  EXPECT_EQ(*run(all().distinct("a")), Array());
  EXPECT_FALSE(run(all().find_and_update(by_id(1), Update().set("a", 1)))->has_value());
  EXPECT_EQ(run(all().remove_many({}))->removed, 0);
  EXPECT_EQ(run(all().update_many({}, Update().set("a", 1)))->matched, 0);
}

TEST_P(DocumentsContract, FiltersCompareAsTheyShould) {
  insert({Doc{{"_id", 1}, {"n", 5}, {"s", "abc"}, {"t", Array{"a", "b"}}, {"d", Doc{{"x", 1}}}},
          Doc{{"_id", 2}, {"n", 7.5}, {"s", "abd"}, {"t", Array{"b", "c", 3}}, {"d", Doc{{"x", 2}, {"y", nullptr}}}},
          Doc{{"_id", 3},
              {"n", std::int64_t{9}},
              {"s", ""},
              {"t", Array{}},
              {"items", Array{Doc{{"k", "w"}, {"n", 1}}, Doc{{"k", "v"}, {"n", 5}}}}},
          Doc{{"_id", 4}, {"n", "5"}, {"t", "a"}, {"items", Array{Doc{{"k", "w"}, {"n", 5}}}}},
          Doc{{"_id", 5}, {"n", nullptr}, {"s", "ABC"}}});
  EXPECT_EQ(ids({}), "1 2 3 4 5");
  EXPECT_EQ(ids(where("n").eq(5)), "1");
  EXPECT_EQ(ids(where("n").eq(5.0)), "1");
  EXPECT_EQ(ids(where("n").eq(nullptr)), "5");
  EXPECT_EQ(ids(where("s").eq(nullptr)), "4");  // Missing.
  EXPECT_EQ(ids(where("n").ne(5)), "2 3 4 5");
  EXPECT_EQ(ids(where("n").gt(5)), "2 3");
  EXPECT_EQ(ids(where("n").gte(5)), "1 2 3");
  EXPECT_EQ(ids(where("n").lt(9)), "1 2");
  EXPECT_EQ(ids(where("n").lte(9)), "1 2 3");
  EXPECT_EQ(ids(where("n").gt("")), "4");
  EXPECT_EQ(ids(where("n").gt(5) && where("n").lt(9)), "2");
  EXPECT_EQ(ids(where("n").in({5, "5", nullptr})), "1 4 5");
  EXPECT_EQ(ids(where("n").in({})), "");
  EXPECT_EQ(ids(where("n").not_in({5, 7.5})), "3 4 5");
  EXPECT_EQ(ids(where("t").eq("a")), "1 4");
  EXPECT_EQ(ids(where("t").eq(Array{"a", "b"})), "1");
  EXPECT_EQ(ids(where("t").has_all({"c", "b"})), "2");
  EXPECT_EQ(ids(where("t").size(0)), "3");
  EXPECT_EQ(ids(where("t").gt(1)), "2");
  EXPECT_EQ(ids(where("t").exists()), "1 2 3 4");
  EXPECT_EQ(ids(where("t").missing()), "5");
  EXPECT_EQ(ids(where("d.x").eq(2)), "2");
  EXPECT_EQ(ids(where("d").eq(Doc{{"x", 1}})), "1");
  EXPECT_EQ(ids(where("d.y").exists()), "2");
  EXPECT_EQ(ids(where("s").starts_with("ab")), "1 2");
  EXPECT_EQ(ids(where("s").starts_with("")), "1 2 3 5");
  EXPECT_EQ(ids(where("s").starts_with("a.")), "");
  EXPECT_EQ(ids(where("items.n").eq(5)), "3 4");
  EXPECT_EQ(ids(where("items.0.n").eq(5)), "4");
  EXPECT_EQ(ids(where("items.k").eq("w") && where("items.n").eq(5)), "3 4");
  EXPECT_EQ(ids(where("items").any(where("k").eq("w") && where("n").eq(5))), "4");
  EXPECT_EQ(ids(where("_id").lt(3) || where("s").eq("ABC")), "1 2 5");
  EXPECT_EQ(ids(!(where("_id").lt(3) || where("s").eq("ABC"))), "3 4");
  EXPECT_EQ(ids(!where("n").gt(5)), "1 4 5");
}

TEST_P(DocumentsContract, AnswersTheSameThroughAnIndex) {
  std::vector<Doc> documents;
  for (int i = 0; i < 200; ++i) {
    documents.push_back(Doc{{"_id", i}, {"a", i % 7}, {"b", i % 5}, {"tags", Array{i % 3, i % 11}}});
    if (i % 10 == 0) documents.back().erase("a");
  }
  insert(documents);
  const std::vector<Filter> filters{where("a").eq(3),
                                    where("a").eq(3) && where("b").gt(2),
                                    where("a").eq(nullptr),
                                    where("a").in({1, 2, nullptr}) && where("b").lte(1),
                                    where("a").gt(2) && where("a").lt(5),
                                    where("tags").eq(10),
                                    where("tags").gt(8) && where("tags").lt(1),
                                    where("tags").in({0, 9}),
                                    where("a").ne(3),
                                    where("a").gte(5) || where("b").eq(0)};
  const std::vector<Sort> sorts{Sort().up("_id"), Sort().up("a").down("b").up("_id"),
                                Sort().down("a").up("b").up("_id")};
  std::vector<std::string> before;
  for (const Filter& filter : filters) {
    for (const Sort& sort : sorts) before.push_back(ids(filter, {.sort = sort, .skip = 1, .limit = 50}));
  }
  ASSERT_TRUE(run(all().create_indexes(
      {Index::on(Sort().up("a").down("b")), Index::on(Sort().up("tags")), Index::on(Sort().down("b"))})));
  std::size_t i = 0;
  for (const Filter& filter : filters) {
    for (const Sort& sort : sorts) {
      EXPECT_EQ(ids(filter, {.sort = sort, .skip = 1, .limit = 50}), before[i]) << "case " << i;
      ++i;
    }
  }
}

TEST_P(DocumentsContract, SortsSkipsAndLimits) {
  insert({Doc{{"_id", 1}, {"a", 2}, {"b", "x"}}, Doc{{"_id", 2}, {"a", 1}, {"b", "x"}}, Doc{{"_id", 3}, {"b", "x"}},
          Doc{{"_id", 4}, {"a", "1"}, {"b", "y"}}, Doc{{"_id", 5}, {"a", true}, {"b", "y"}},
          Doc{{"_id", 6}, {"a", 1.5}, {"b", "y"}}});
  EXPECT_EQ(ids({}, {.sort = Sort().up("a")}), "3 2 6 1 4 5");
  EXPECT_EQ(ids({}, {.sort = Sort().down("a")}), "5 4 1 6 2 3");
  EXPECT_EQ(ids({}, {.sort = Sort().down("b").up("a")}), "6 4 5 3 2 1");
  EXPECT_EQ(ids({}, {.sort = Sort().up("a"), .skip = 1, .limit = 3}), "2 6 1");
  EXPECT_EQ(ids({}, {.sort = Sort().up("a"), .skip = 6}), "");
}

TEST_P(DocumentsContract, ReturnsTheFieldsAskedFor) {
  insert({Doc{{"_id", 1}, {"a", 1}, {"b", Doc{{"c", 1}, {"d", 2}}}, {"e", Array{Doc{{"f", 1}, {"g", 2}}}}}});
  const auto shown = [&](Projection projection) {
    return to_json(*run(all().find_one({}, {.projection = std::move(projection)})));
  };
  EXPECT_EQ(shown(Projection::only({"a"})), R"({"_id":1,"a":1})");
  EXPECT_EQ(shown(Projection::only({"b.d", "e.f"}).no_id()), R"({"b":{"d":2},"e":[{"f":1}]})");
  EXPECT_EQ(shown(Projection::without({"b.c", "e"})), R"({"_id":1,"a":1,"b":{"d":2}})");
  EXPECT_EQ(shown(Projection::without({"a", "b", "e"}).no_id()), "{}");
}

TEST_P(DocumentsContract, UpdatesDoWhatTheySay) {
  const Doc before{{"a", 1}, {"d", Doc{{"x", 1}}}, {"l", Array{1, 2, 2}}, {"s", "t"}};
  const auto with = [&](const char* a) { return std::string(R"({"a":)") + a + R"(,"d":{"x":1},"l":[1,2,2],"s":"t"})"; };
  EXPECT_EQ(updated(before, Update().set("a", "z")), with(R"("z")"));
  EXPECT_EQ(updated(before, Update().inc("a", 4)), with("5"));
  EXPECT_EQ(updated(before, Update().inc("a", 0.5)), with("1.5"));
  EXPECT_EQ(updated(before, Update().inc("a", 2147483647)), with("2147483648"));
  EXPECT_EQ(updated(before, Update().min("a", 0)), with("0"));
  EXPECT_EQ(updated(before, Update().min("a", 3)), with("1"));
  EXPECT_EQ(updated(before, Update().max("a", 3)), with("3"));
  EXPECT_EQ(updated(before, Update().unset("d").unset("l").unset("nothing")), R"({"a":1,"s":"t"})");
  EXPECT_EQ(updated({{"a", 1}}, Update().set("b", 3).set("p.n", 2).set("p.q", 1)),
            R"({"a":1,"b":3,"p":{"n":2,"q":1}})");
  EXPECT_EQ(updated({{"a", 1}}, Update().set("a", 2).inc("p.n", 2)), R"({"a":2,"p":{"n":2}})");
  EXPECT_EQ(updated({{"l", Array{1}}}, Update().push("l", "x").push_all("m", {1, 2})), R"({"l":[1,"x"],"m":[1,2]})");
  EXPECT_EQ(updated({{"l", Array{1, 2, 2, 3}}}, Update().pull("l", 2)), R"({"l":[1,3]})");
  EXPECT_EQ(updated({{"l", Array{1, 2, 2, 3}}}, Update().pull_all("l", {1, 2})), R"({"l":[3]})");
  EXPECT_EQ(updated({{"l", Array{Doc{{"k", 1}, {"n", 1}}, Doc{{"k", 2}}}}}, Update().pull_where("l", where("k").eq(1))),
            R"({"l":[{"k":2}]})");
  EXPECT_EQ(updated({{"l", Array{1, 2}}}, Update().add_all_to_set("l", {2, 3, 3})), R"({"l":[1,2,3]})");
  EXPECT_EQ(updated({{"l", Array{1, Doc{{"n", 2}}}}}, Update().inc("l.1.n", 1)), R"({"l":[1,{"n":3}]})");
  EXPECT_EQ(updated({{"l", Array{1}}}, Update().set("l.2", 3)), R"({"l":[1,null,3]})");
  EXPECT_EQ(updated({{"a", 1}}, Update().set_on_insert("b", 1).set("c", 1)), R"({"a":1,"c":1})");
}

TEST_P(DocumentsContract, UpdateThatCannotBeLeavesTheDocument) {
  insert({Doc{{"_id", 1}, {"s", "x"}, {"n", std::numeric_limits<std::int64_t>::max()}, {"l", Array{1}}}});
  const std::string before = one(1);
  std::vector<Update> updates{Update().inc("s", 1),        Update().push("s", 1),  Update().pull("s", 1),
                              Update().add_to_set("n", 1), Update().set("s.x", 1), Update().set("l.x", 1),
                              Update().set("_id", 2)};
  if (GetParam().minds_overflow) updates.push_back(Update().inc("n", 1));
  for (const Update& update : updates) {
    auto done = run(all().update_one(by_id(1), Update(update).set("ok", true)));
    ASSERT_FALSE(done) << one(1);
    EXPECT_EQ(done.error().code, code::kInvalid) << done.error().detail;
    EXPECT_EQ(one(1), before);
  }
}

TEST_P(DocumentsContract, CountsWhatWritesDid) {
  insert({Doc{{"_id", 1}, {"a", 1}}, Doc{{"_id", 2}, {"a", 1}}, Doc{{"_id", 3}, {"a", 2}}});
  auto same = run(all().update_many(where("a").eq(1), Update().set("a", 1)));
  EXPECT_EQ(same->matched, 2);
  EXPECT_EQ(same->modified, 0);
  auto many = run(all().update_many(where("a").gte(1), Update().max("a", 2)));
  EXPECT_EQ(many->matched, 3);
  EXPECT_EQ(many->modified, 2);
  EXPECT_EQ(run(all().update_one({}, Update().inc("a", 1)))->modified, 1);
  EXPECT_EQ(run(all().remove_one(where("a").gte(2)))->removed, 1);
  EXPECT_EQ(run(all().remove_many({}))->removed, 2);
}

TEST_P(DocumentsContract, UpsertMakesWhatIsMissing) {
  auto made = run(all().update_one(where("name").eq("x") && where("d.n").eq(2) && where("a").gt(5),
                                   Update().inc("count", 1).set_on_insert("born", 7), {.upsert = true}));
  ASSERT_TRUE(made) << made.error().detail;
  EXPECT_EQ(made->matched, 0);
  EXPECT_EQ(made->upserted, 1);
  ASSERT_EQ(made->ids.size(), 1u);
  EXPECT_EQ(made->ids[0].id.type(), Type::kObjectId);
  Doc found = *run(all().find_one({}));
  found.erase("_id");
  EXPECT_EQ(found.at("born"), Value(7));
  EXPECT_EQ(found.at("count"), Value(1));
  EXPECT_EQ(found.at("name"), Value("x"));
  EXPECT_EQ(to_json(found.at("d")), R"({"n":2})");
  EXPECT_FALSE(found.contains("a"));
  made =
      run(all().update_one(where("name").eq("x"), Update().inc("count", 1).set_on_insert("born", 8), {.upsert = true}));
  EXPECT_EQ(made->matched, 1);
  EXPECT_EQ(made->upserted, 0);
  EXPECT_EQ(run(all().find_one({}))->at("born"), Value(7));
  ASSERT_TRUE(run(all().replace(by_id(5), Doc{{"r", 1}}, {.upsert = true})));
  EXPECT_EQ(one(5), R"({"_id":5,"r":1})");
}

TEST_P(DocumentsContract, ModifyReturnsTheOldOrTheNew) {
  insert({Doc{{"_id", 1}, {"n", 1}}, Doc{{"_id", 2}, {"n", 5}}});
  EXPECT_EQ(to_json(**run(all().find_and_update(by_id(1), Update().inc("n", 1)))), R"({"_id":1,"n":1})");
  EXPECT_EQ(to_json(**run(all().find_and_update(by_id(1), Update().inc("n", 1), {.return_new = true}))),
            R"({"_id":1,"n":3})");
  EXPECT_EQ(to_json(**run(all().find_and_update({}, Update().inc("n", 1), {.sort = Sort().down("n")}))),
            R"({"_id":2,"n":5})");
  EXPECT_EQ(to_json(**run(all().find_and_replace(by_id(2), Doc{{"m", 1}}, {.return_new = true}))),
            R"({"_id":2,"m":1})");
  EXPECT_EQ(to_json(**run(all().find_and_remove(by_id(2)))), R"({"_id":2,"m":1})");
  EXPECT_EQ(ids({}), "1");
  EXPECT_FALSE(run(all().find_and_update(by_id(9), Update().set("n", 1), {.upsert = true}))->has_value());
  EXPECT_EQ(to_json(**run(all().find_and_update(by_id(8), Update().set("n", 1), {.upsert = true, .return_new = true}))),
            R"({"_id":8,"n":1})");
}

TEST_P(DocumentsContract, DistinctGivesEachValueOnce) {
  insert({Doc{{"_id", 1}, {"a", 2}}, Doc{{"_id", 2}, {"a", Array{2, 1, "x"}}}, Doc{{"_id", 3}},
          Doc{{"_id", 4}, {"a", 3}}});
  auto values = run(all().distinct("a", where("_id").lt(4)));
  ASSERT_TRUE(values) << values.error().detail;
  EXPECT_THAT(*values, ::testing::UnorderedElementsAre(Value(1), Value(2), Value("x")));
}

TEST_P(DocumentsContract, BulkStopsAtAFaultOnlyWhenOrdered) {
  const auto writes = [](int from) {
    std::vector<Write> list(4);
    list[0].document = Doc{{"_id", from}};
    list[1].document = Doc{{"_id", from}};
    list[2].document = Doc{{"_id", from + 1}};
    list[3] = {.kind = Write::Kind::kUpdate, .filter = by_id(from), .update = Update().set("a", 1)};
    return list;
  };
  auto ordered = run(all().bulk(writes(1)));
  ASSERT_TRUE(ordered) << ordered.error().detail;
  EXPECT_EQ(ordered->inserted, 1);
  ASSERT_EQ(ordered->faults.size(), 1u);
  EXPECT_EQ(ordered->faults[0].write, 1u);
  EXPECT_TRUE(is_duplicate_key(ordered->faults[0].error));
  EXPECT_EQ(ids({}), "1");
  auto all_of_them = run(all().bulk(writes(10), {.ordered = false}));
  ASSERT_TRUE(all_of_them) << all_of_them.error().detail;
  EXPECT_EQ(all_of_them->inserted, 2);
  EXPECT_EQ(all_of_them->modified, 1);
  EXPECT_EQ(all_of_them->faults.size(), 1u);
  EXPECT_EQ(ids({}), "1 10 11");
}

TEST_P(DocumentsContract, UniqueIndexIsHeld) {
  ASSERT_TRUE(run(all().create_indexes({Index::on(Sort().up("a").up("b")).make_unique()})));
  ASSERT_TRUE(run(all().create_indexes({Index::on(Sort().up("a").up("b")).make_unique()})));  // Again: nothing.
  insert({Doc{{"_id", 1}, {"a", 1}, {"b", 1}}, Doc{{"_id", 2}, {"a", 1}, {"b", 2}}});
  auto again = run(all().insert(Doc{{"_id", 3}, {"a", 1}, {"b", 2}}));
  ASSERT_FALSE(again);
  EXPECT_TRUE(is_duplicate_key(again.error())) << again.error().detail;
  auto moved = run(all().update_one(by_id(1), Update().set("b", 2)));
  ASSERT_FALSE(moved);
  EXPECT_TRUE(is_duplicate_key(moved.error())) << moved.error().detail;
  EXPECT_EQ(one(1), R"({"_id":1,"a":1,"b":1})");
  ASSERT_TRUE(run(all().update_one(by_id(2), Update().set("b", 3))));
  EXPECT_TRUE(run(all().update_one(by_id(1), Update().set("b", 2))));
  auto known = run(store().indexes({.collection = "things"}));
  ASSERT_TRUE(known) << known.error().detail;
  ASSERT_EQ(known->size(), 1u);
  EXPECT_EQ((*known)[0].name, "a_1_b_1");
  EXPECT_TRUE((*known)[0].unique);
  ASSERT_TRUE(run(store().drop_index({.collection = "things"}, "a_1_b_1")));
  EXPECT_TRUE(run(all().insert(Doc{{"_id", 3}, {"a", 1}, {"b", 3}})));
  auto broken = run(all().create_indexes({Index::on(Sort().up("a").up("b")).make_unique()}));
  ASSERT_FALSE(broken);
  EXPECT_TRUE(is_duplicate_key(broken.error())) << broken.error().detail;
}

TEST_P(DocumentsContract, WhatUsersSendIsDataAndNeverAnOperator) {
  insert({Doc{{"_id", 1}, {"password", "secret"}}});
  for (const char* text : {R"({"$gt":""})", R"({"$ne":null})", R"({"$where":"1"})", R"({"$regex":".*"})",
                           R"({"$in":["secret"]})", R"({"$exists":true})"}) {
    const Value sent = *document_from_json(text);
    EXPECT_EQ(ids(where("password").eq(sent)), "") << text;
    EXPECT_EQ(ids(where("password").in({sent})), "") << text;
    EXPECT_EQ(ids(where("_id").eq(1) && where("password").eq(sent)), "") << text;
    EXPECT_EQ(ids(where("password").ne(sent)), "1") << text;
    EXPECT_EQ(ids(by_id(sent)), "") << text;
    auto stored = run(all().insert(Doc{{"_id", 2}, {"data", sent}}));
    ASSERT_FALSE(stored) << text;
    EXPECT_EQ(stored.error().code, code::kInvalid);
    EXPECT_EQ(run(all().update_one(by_id(1), Update().set("a", sent))).error().code, code::kInvalid);
    EXPECT_EQ(run(all().update_one(by_id(1), Update().push("a", sent))).error().code, code::kInvalid);
    EXPECT_EQ(run(all().replace(by_id(1), sent.as_document())).error().code, code::kInvalid);
  }
  for (const char* path : {"", "$where", "a.$gt", "a..b", "a.", ".a"}) {
    EXPECT_EQ(run(all().find(where(path).eq(1))).error().code, code::kInvalid) << path;
    EXPECT_EQ(run(all().update_one({}, Update().set(path, 1))).error().code, code::kInvalid) << path;
    EXPECT_EQ(run(all().find({}, {.sort = Sort().up(path)})).error().code, code::kInvalid) << path;
  }
  for (const char* name : {"a.b", "$a", ""}) {
    EXPECT_EQ(run(all().insert(Doc{{name, 1}})).error().code, code::kInvalid) << name;
  }
  EXPECT_EQ(run(Collection<>(store(), "$cmd").insert(Doc{})).error().code, code::kInvalid);
  EXPECT_EQ(one(1), R"({"_id":1,"password":"secret"})");
}

TEST_P(DocumentsContract, PagesAsGoServicesDo) {
  const auto page = [&](std::int64_t number, std::int64_t size) {
    auto got = run(all().scan(number, size, {}, {.sort = Sort().up("_id")}));
    EXPECT_TRUE(got) << got.error().detail;
    std::string out = fmt::format("{}/{}/{}:", got->page, got->count, got->size);
    for (const Doc& each : got->items) out += " " + to_json(each.at("_id"));
    return out;
  };
  EXPECT_EQ(page(7, 3), "0/0/3:");
  std::vector<Doc> documents;
  for (int i = 1; i <= 7; ++i) documents.push_back(Doc{{"_id", i}});
  insert(documents);
  EXPECT_EQ(page(1, 3), "1/7/3: 1 2 3");
  EXPECT_EQ(page(3, 3), "3/7/3: 7");
  EXPECT_EQ(page(99, 3), "3/7/3: 7");
  EXPECT_EQ(page(0, 0), "1/7/20: 1 2 3 4 5 6 7");
  EXPECT_EQ(page(-5, 7), "1/7/7: 1 2 3 4 5 6 7");
}

TEST_P(DocumentsContract, CountersGiveEachNumberOnce) {
  constexpr int kCallers = 8, kEach = 20;
  std::multiset<std::int64_t> numbers;
  int done = 0;
  const auto caller = [](Documents& in, std::multiset<std::int64_t>& out, int& ended) -> Task<void> {
    for (int i = 0; i < kEach; ++i) {
      auto number = co_await get_inc_id(in, "role");
      EXPECT_TRUE(number) << number.error().detail;
      if (number) out.insert(*number);
    }
    ++ended;
  };
  loop().post_always([&] {
    for (int i = 0; i < kCallers; ++i) spawn(caller(store(), numbers, done));
  });
  ASSERT_TRUE(testing::run_until(loop(), [&] { return done == kCallers; }));
  ASSERT_EQ(numbers.size(), static_cast<std::size_t>(kCallers * kEach));
  EXPECT_EQ(*numbers.begin(), 1);
  EXPECT_EQ(*numbers.rbegin(), kCallers * kEach);
  EXPECT_EQ(std::set<std::int64_t>(numbers.begin(), numbers.end()).size(), numbers.size());
  Collection<> counters(store(), std::string(kCounters));
  EXPECT_EQ(to_json(*run(counters.find_one({}))), R"({"_id":"role","n":160})");
  EXPECT_EQ(run(counters.find_one({}))->at("n").type(), Type::kInt64);
  ASSERT_TRUE(run(counters.insert(Doc{{"_id", "seeded"}, {"n", std::int64_t{1000}}})));
  EXPECT_EQ(*run(get_inc_id(store(), "seeded")), 1001);
  ASSERT_TRUE(run(counters.insert(Doc{{"_id", "minus"}, {"n", std::int64_t{-1}}})));
  EXPECT_EQ(run(get_inc_id(store(), "minus")).error().code, code::kInvalid);
}

TEST_P(DocumentsContract, ConcurrentUpdatesAllCount) {
  insert({Doc{{"_id", 1}, {"n", 0}}});
  int done = 0;
  const auto caller = [](Collection<> in, int& ended) -> Task<void> {
    for (int i = 0; i < 25; ++i) EXPECT_TRUE(co_await in.update_one(by_id(1), Update().inc("n", 1)));
    ++ended;
  };
  loop().post_always([&] {
    for (int i = 0; i < 8; ++i) spawn(caller(all(), done));
  });
  ASSERT_TRUE(testing::run_until(loop(), [&] { return done == 8; }));
  EXPECT_EQ(one(1), R"({"_id":1,"n":200})");
}

TEST_P(DocumentsContract, TablesAreMadeOnceAndOnlyWhenMissing) {
  const auto tables = [] {
    return Tables{table_of<contract::Role>({.name = "role",
                                            .primary_key = "_id",
                                            .foreign_key = "guild",
                                            .indexes = {Index::on(Sort().up("name")).make_unique()},
                                            .data = {Doc{{"_id", 1}, {"name", "first"}}}}),
                  {.name = "empty"},
                  {.name = std::string(kCounters), .data = {Doc{{"_id", "role"}, {"n", std::int64_t{100}}}}}};
  };
  auto made = run(create_tables(store(), tables(), deadline()));
  ASSERT_TRUE(made) << made.error().detail;
  EXPECT_THAT(*run(store().collections(deadline())), ::testing::UnorderedElementsAre("role", "auto_inc_id"));
  EXPECT_EQ(*run(get_inc_id(store(), "role")), 101);
  Collection<> roles(store(), "role");
  ASSERT_TRUE(run(roles.update_one(by_id(1), Update().set("name", "mine"))));
  ASSERT_TRUE(run(create_tables(store(), tables(), deadline())));
  EXPECT_EQ(to_json(*run(roles.find_one({}))), R"({"_id":1,"name":"mine"})");
  EXPECT_TRUE(is_duplicate_key(run(roles.insert(Doc{{"name", "mine"}})).error()));

  auto wrong =
      run(create_tables(store(), {table_of<contract::Role>({.name = "x", .primary_key = "nope"})}, deadline()));
  EXPECT_EQ(wrong.error().code, code::kInvalid);
  auto seed = run(create_tables(store(), {{.name = "y", .data = {Doc{{"_id", 1}}, Doc{{"_id", 1}}}}}, deadline()));
  EXPECT_TRUE(is_duplicate_key(seed.error())) << seed.error().detail;
}

TEST_P(DocumentsContract, WriteOfAnOlderTokenIsRefused) {
  insert({Doc{{"_id", 1}, {"gold", 10}}});
  ASSERT_TRUE(run(all().update_one(by_id(1), Update().inc("gold", 1), {.guard = 5})));
  ASSERT_TRUE(run(all().update_one(by_id(1), Update().inc("gold", 1), {.guard = 5})));
  ASSERT_TRUE(run(all().update_one(by_id(1), Update().inc("gold", 1), {.guard = 6})));
  auto late = run(all().update_one(by_id(1), Update().set("gold", 0), {.guard = 5}));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, code::kForbidden) << late.error().detail;
  EXPECT_EQ(run(all().replace(by_id(1), Doc{{"gold", 0}}, {.guard = 4})).error().code, code::kForbidden);
  EXPECT_EQ(run(all().find_one(by_id(1)))->at("gold"), Value(13));
  EXPECT_TRUE(is_no_document(run(all().update_one(by_id(2), Update().set("gold", 0), {.guard = 9})).error()));
}

TEST_P(DocumentsContract, CollectionsComeAndGo) {
  insert({Doc{{"_id", 1}}});
  EXPECT_THAT(*run(store().collections(deadline())), ::testing::ElementsAre("things"));
  for (int twice = 0; twice < 2; ++twice) {
    auto gone = run(store().drop({.collection = "things"}));
    ASSERT_TRUE(gone) << gone.error().code << " " << gone.error().detail;
  }
  EXPECT_THAT(*run(store().collections(deadline())), ::testing::IsEmpty());
  insert({Doc{{"_id", 1}}});
  EXPECT_EQ(ids({}), "1");
}

TEST_P(DocumentsContract, CallWhoseTimeIsUpFails) {
  insert({Doc{{"_id", 1}}});
  auto found = run(all().find_one({}, {}, {.deadline = Deadline::past()}));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, code::kTimeout) << found.error().detail;
  auto written = run(all().insert(Doc{{"_id", 2}}, {.deadline = Deadline::past()}));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, code::kTimeout) << written.error().detail;
}

TEST_P(DocumentsContract, TransactionIsAllOrNothing) {
  if (!GetParam().transactions) {
    auto begun = run(store().begin(deadline()));
    if (begun) {  // A server tells only when it is used.
      auto used = run(all().insert(Doc{{"_id", 1}}, {.transaction = begun->get()}));
      EXPECT_FALSE(used);
    }
    return;
  }
  insert({Doc{{"_id", 1}, {"gold", 10}}, Doc{{"_id", 2}, {"gold", 0}}});
  const auto trade = [this](Transaction& t, int amount) -> Task<Result<std::int64_t>> {
    struct Trade {
      static Task<Result<std::int64_t>> run(Collection<> things, Transaction& in, int n) {
        auto from = co_await things.find_and_update(by_id(1), Update().inc("gold", -n),
                                                    {.return_new = true, .transaction = &in});
        if (!from) co_return std::unexpected(from.error());
        auto to = co_await things.update_one(by_id(2), Update().inc("gold", n), {.transaction = &in});
        if (!to) co_return std::unexpected(to.error());
        auto seen = co_await things.find_one(by_id(2), {}, {.transaction = &in});
        if (!seen) co_return std::unexpected(seen.error());
        if ((*from)->at("gold").as_whole() < 0) co_return fail(code::kForbidden, "not enough gold");
        co_return seen->at("gold").as_whole();
      }
    };
    return Trade::run(all(), t, amount);
  };
  auto done = run(with_transaction(store(), [&](Transaction& t) { return trade(t, 4); }, deadline()));
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(*done, 4);
  EXPECT_EQ(one(1), R"({"_id":1,"gold":6})");
  auto refused = run(with_transaction(store(), [&](Transaction& t) { return trade(t, 7); }, deadline()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, code::kForbidden);
  EXPECT_EQ(one(1), R"({"_id":1,"gold":6})");
  EXPECT_EQ(one(2), R"({"_id":2,"gold":4})");
  {
    auto dropped = run(store().begin(deadline()));
    ASSERT_TRUE(dropped) << dropped.error().detail;
    ASSERT_TRUE(run(all().insert(Doc{{"_id", 3}}, {.transaction = dropped->get()})));
    EXPECT_EQ(ids({}), "1 2");  // Not seen from outside.
  }
  EXPECT_EQ(ids({}), "1 2");
  int ended = 0;
  const auto caller = [](Documents& in, auto body, Deadline until, int& count) -> Task<void> {
    auto moved = co_await with_transaction(in, [&](Transaction& t) { return body(t, 1); }, until);
    EXPECT_TRUE(moved) << moved.error().detail;
    ++count;
  };
  loop().post_always([&] {
    for (int i = 0; i < 6; ++i) spawn(caller(store(), trade, deadline(), ended));
  });
  ASSERT_TRUE(testing::run_until(loop(), [&] { return ended == 6; }));
  EXPECT_EQ(one(1), R"({"_id":1,"gold":0})");
  EXPECT_EQ(one(2), R"({"_id":2,"gold":10})");
}

}  // namespace mg::documents
