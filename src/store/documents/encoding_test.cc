#include "mg/store/documents/encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>

#include "mg/store/documents/bson.h"
#include "mg/store/documents/filter.h"
#include "mg/store/documents/update.h"
#include "store/documents/query.h"

namespace mg::documents {
namespace {

struct Inner {
  std::string name;
  std::uint64_t big = 0;
};
constexpr auto mg_fields(std::type_identity<Inner>) {
  return fields(field("name", &Inner::name), field("big", &Inner::big));
}
struct Outer {
  std::int64_t id = 0;
  std::uint8_t small = 0;
  std::uint32_t word = 0;
  float ratio = 0;
  bool on = false;
  std::string left_out;
  std::optional<int> maybe;
  std::unique_ptr<Inner> owned;
  std::vector<Inner> list;
  std::array<int, 2> pair{};
  std::map<std::string, Inner> map;
  Value any;
  int hidden = 7;
};
constexpr auto mg_fields(std::type_identity<Outer>) {
  return fields(field("id", &Outer::id).bson("_id"), field("small", &Outer::small), field("word", &Outer::word),
                field("ratio", &Outer::ratio), field("on", &Outer::on),
                field("left_out", &Outer::left_out, FieldRule::kOmitEmpty), field("maybe", &Outer::maybe),
                field("owned", &Outer::owned, FieldRule::kOmitEmpty), field("list", &Outer::list),
                field("pair", &Outer::pair), field("map", &Outer::map), field("any", &Outer::any),
                field("hidden", &Outer::hidden).bson(""));
}

TEST(Encoding, StructBecomesADocumentWithTheTypesGoUses) {
  Outer outer;
  outer.id = 5;
  outer.word = 4'000'000'000;
  outer.list.push_back({"x", 1});
  outer.map["k"] = {"y", 2};
  outer.any = Array{1};
  auto document = to_document(outer);
  ASSERT_TRUE(document) << document.error().detail;
  EXPECT_EQ(to_json(*document),
            R"({"_id":5,"small":0,"word":4000000000,"ratio":0,"on":false,"maybe":null,"list":[{"name":"x","big":1}],)"
            R"("pair":[0,0],"map":{"k":{"name":"y","big":2}},"any":[1]})");
  EXPECT_EQ(document->at("_id").type(), Type::kInt64);
  EXPECT_EQ(document->at("small").type(), Type::kInt32);
  EXPECT_EQ(document->at("word").type(), Type::kInt64);
  auto back = from_document<Outer>(*document);
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(back->list[0].big, 1u);
  EXPECT_EQ(back->hidden, 7);
}

TEST(Encoding, FaultsNameTheirPath) {
  const auto fault = [](Document document) { return from_document<Outer>(document).error().detail; };
  EXPECT_EQ(fault({{"list", Array{Document{}, Document{{"big", "x"}}}}}),
            R"(list[1].big: "x" is no whole number that fits)");
  EXPECT_EQ(fault({{"map", Document{{"k", Document{{"name", 5}}}}}}), "map.k.name: 5 is no text");
  EXPECT_EQ(fault({{"small", 256}}), "small: 256 is no whole number that fits");
  EXPECT_EQ(fault({{"small", -1}}), "small: -1 is no whole number that fits");
  EXPECT_EQ(fault({{"word", 1.5}}), "word: 1.5 is no whole number that fits");
  EXPECT_EQ(fault({{"on", 1}}), "on: 1 is no boolean");
  EXPECT_EQ(fault({{"pair", Array{1}}}), "pair: [1] is an array of another size");
  Outer outer;
  outer.list.push_back({"x", ~std::uint64_t{0}});
  EXPECT_EQ(to_document(outer).error().detail,
            "list[0].big: 18446744073709551615 is beyond the largest whole number of a document");
}

TEST(Encoding, NumbersOfOtherTypesAreRead) {
  auto outer =
      from_document<Outer>({{"_id", 3.0}, {"ratio", 2}, {"on", nullptr}, {"maybe", std::int64_t{4}}, {"unknown", 1}});
  ASSERT_TRUE(outer) << outer.error().detail;
  EXPECT_EQ(outer->id, 3);
  EXPECT_EQ(outer->ratio, 2.0f);
  EXPECT_EQ(outer->maybe, 4);
  EXPECT_EQ(*get<int>(Document{{"n", 5}}, "n"), 5);
  EXPECT_EQ(get<int>(Document{}, "n").error().detail, "n: null is no whole number that fits");
}

TEST(Query, IsWhatMongoDbReads) {
  EXPECT_EQ(to_json(to_query(where(&Outer::id).eq(5) && (where("a.b").gte(1) || !where("c").exists()))),
            R"({"$and":[{"_id":{"$eq":5}},{"$or":[{"a.b":{"$gte":1}},{"$nor":[{"c":{"$exists":true}}]}]}]})");
  EXPECT_EQ(to_json(to_query(where("s").starts_with("a.*\n"))), "{\"s\":{\"$regex\":\"^a\\\\.\\\\*\\\\\\n\"}}");
  EXPECT_EQ(to_json(to_query(where("l").any(where("k").in({1, 2})))), R"({"l":{"$elemMatch":{"k":{"$in":[1,2]}}}})");
  EXPECT_EQ(
      to_json(to_update(Update().set("a", 1).inc("n", 2).set("b", 3).push("l", 4).pull_where("m", where("k").eq(1)))),
      R"({"$set":{"a":1,"b":3},"$inc":{"n":2},"$push":{"l":{"$each":[4]}},"$pull":{"m":{"k":{"$eq":1}}}})");
}

TEST(Update, WhatCannotBeIsRefused) {
  EXPECT_FALSE(Update().check());
  EXPECT_FALSE(Update().set("a", 1).inc("a", 1).check());
  EXPECT_FALSE(Update().set("a.b", 1).set("a", 1).check());
  EXPECT_TRUE(Update().set("a", 1).set("ab", 1).check());
  EXPECT_FALSE(Update().inc("a", "1").check());
  EXPECT_FALSE(Update().set("a", Document{{"$x", 1}}).check());
  Outer outer;
  outer.list.push_back({"x", ~std::uint64_t{0}});
  EXPECT_FALSE(Update().set_fields(outer).check());
}

}  // namespace
}  // namespace mg::documents
