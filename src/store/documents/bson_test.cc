#include "mg/store/documents/bson.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "mg/base/random.h"

namespace mg::documents {
namespace {

Document everything() {
  return {{"null", nullptr},
          {"double", -0.5},
          {"text", std::string("a\0\xC3\xA9", 4)},
          {"document", Document{{"a", Document{}}, {"", 1}}},
          {"array", Array{1, Array{}, Document{{"x", true}}}},
          {"binary", Binary{.octets = {std::byte{7}, std::byte{0}}, .subtype = 128}},
          {"id", ObjectId::make()},
          {"bool", true},
          {"date", Date(std::chrono::milliseconds(-62135596800000))},
          {"regex", Regex{std::string("^a\0i", 4)}},
          {"int", std::numeric_limits<std::int32_t>::min()},
          {"timestamp", Timestamp{~std::uint64_t{0}}},
          {"long", std::numeric_limits<std::int64_t>::min()},
          {"decimal", Decimal{}},
          {"min", MinKey()},
          {"max", MaxKey()}};
}

std::vector<std::byte> octets(std::initializer_list<int> list) {
  std::vector<std::byte> out;
  for (const int each : list) out.push_back(static_cast<std::byte>(each));
  return out;
}

TEST(Bson, OctetsAreThoseOfTheSpecification) {  // Source: bsonspec.org, FAQ.
  EXPECT_EQ(encode({{"hello", "world"}}),
            octets({0x16, 0, 0, 0, 2, 'h', 'e', 'l', 'l', 'o', 0, 6, 0, 0, 0, 'w', 'o', 'r', 'l', 'd', 0, 0}));
  EXPECT_EQ(encode({{"BSON", Array{"awesome", 5.05, 1986}}}),
            octets({0x31, 0,    0,    0,    4,    'B',  'S',  'O', 'N', 0,    0x26, 0, 0, 0,   2, '0',  0,
                    8,    0,    0,    0,    'a',  'w',  'e',  's', 'o', 'm',  'e',  0, 1, '1', 0, 0x33, 0x33,
                    0x33, 0x33, 0x33, 0x33, 0x14, 0x40, 0x10, '2', 0,   0xC2, 7,    0, 0, 0,   0}));
}

TEST(Bson, EveryTypeComesBackAsItWas) {
  const Document document = everything();
  auto back = decode(encode(document));
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(*back, document);
}

TEST(Bson, CutAnywhereIsRefused) {
  const auto whole = encode(everything());
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(decode(Bytes(whole).first(size))) << size;
  auto longer = whole;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode(longer));
}

TEST(Bson, LiesAboutLengthsAreRefused) {
  const auto whole = encode(everything());
  for (std::size_t at = 0; at + 4 <= whole.size(); ++at) {
    for (const std::uint32_t lie : {0u, 1u, 4u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
      auto changed = whole;
      mg::store<std::uint32_t>(changed.data() + at, lie, std::endian::little);
      if (auto got = decode(changed)) EXPECT_EQ(encode(*got).size(), changed.size());  // What is taken is a document.
    }
  }
}

TEST(Bson, FlippedBitsNeverHarm) {
  SeededRandom random(1);
  const auto whole = encode(everything());
  for (int i = 0; i < 20'000; ++i) {
    auto changed = whole;
    for (int n = 0; n < 3; ++n) changed[random.below(changed.size())] = static_cast<std::byte>(random.next());
    if (auto got = decode(changed)) {
      EXPECT_EQ(decode(encode(*got)).has_value(), true);
    }
  }
}

TEST(Bson, DepthNamesTextsAndBooleansAreChecked) {
  Document deep;
  for (int i = 0; i < 99; ++i) deep = Document{{"a", deep}};
  EXPECT_TRUE(decode(encode(deep)));
  EXPECT_TRUE(check_storable(deep));
  deep = Document{{"a", deep}};
  EXPECT_FALSE(decode(encode(deep)));
  EXPECT_FALSE(check_storable(deep));
  Document twice;
  twice.append("a", 1);
  twice.append("a", 2);
  EXPECT_THAT(decode(encode(twice)).error().detail, ::testing::HasSubstr("a name twice"));
  Document many;
  for (int i = 0; i < 40; ++i) many.append(std::to_string(i), i);
  EXPECT_TRUE(decode(encode(many)));
  many.append("7", 1);
  EXPECT_FALSE(decode(encode(many)));
  EXPECT_FALSE(decode(encode({{"a", "\xFF"}})));
  EXPECT_FALSE(decode(octets({9, 0, 0, 0, 8, 'a', 0, 2, 0})));
  EXPECT_FALSE(decode(octets({8, 0, 0, 0, 6, 'a', 0, 0})));  // "Undefined", long gone.
  EXPECT_FALSE(decode(encode({{"a", std::string(100, 'x')}}), {.max_bytes = 50}));
}

TEST(Bson, NamesThatCouldBeTakenForMoreAreNotStored) {
  for (const char* name : {"", "$set", "a.b", "."}) {
    EXPECT_EQ(check_storable({{name, 1}}).error().code, code::kInvalid) << name;
    auto inner = check_storable({{"x", Array{Document{{name, 1}}}}});
    ASSERT_FALSE(inner);
    EXPECT_THAT(inner.error().detail, ::testing::StartsWith("x: "));
  }
  EXPECT_FALSE(check_storable({{std::string("a\0b", 3), 1}}));
  EXPECT_TRUE(check_storable({{"a$", 1}, {"_id", 1}, {"\xE4\xBD\xA0", Document{{"0", 1}}}}));
  EXPECT_FALSE(check_storable({{"a", std::string(17 << 20, 'x')}}));
}

TEST(DocumentJson, ShowsTypesAsExtendedJson) {
  Document document = everything();
  document.set("id", ObjectId{});
  document.erase("regex");
  EXPECT_EQ(
      to_json(document),
      R"({"null":null,"double":-0.5,"text":"a\u0000é","document":{"a":{},"":1},"array":[1,[],{"x":true}],)"
      R"("binary":{"$binary":{"base64":"BwA=","subType":"80"}},"id":{"$oid":"000000000000000000000000"},"bool":true,)"
      R"("date":{"$date":{"$numberLong":"-62135596800000"}},"int":-2147483648,"timestamp":{"$timestamp":{"t":4294967295,"i":4294967295}},)"
      R"("long":-9223372036854775808,"decimal":{"$numberDecimal":"…"},"min":{"$minKey":1},"max":{"$maxKey":1}})");
}

TEST(DocumentJson, DataFromOutsideStaysData) {
  auto data = document_from_json(R"({"a":1,"b":9007199254740993,"c":1.5,"d":{"$oid":"x"},"e":["1",null,true]})");
  ASSERT_TRUE(data) << data.error().detail;
  EXPECT_EQ(data->at("a").type(), Type::kInt32);
  EXPECT_EQ(data->at("b"), Value(std::int64_t{9007199254740993}));
  EXPECT_EQ(data->at("d"), Value(Document{{"$oid", "x"}}));
  EXPECT_FALSE(document_from_json("[1]"));
  EXPECT_FALSE(document_from_json("{"));
  EXPECT_FALSE(document_from_json(std::string(100'000, '[')));
}

}  // namespace
}  // namespace mg::documents
