#include "store/documents/query.h"

#include <gtest/gtest.h>

#include "mg/store/documents/bson.h"

namespace mg::documents {
namespace {

std::string query(const Filter& filter) {
  return to_json(to_query(filter));
}

TEST(Query, IsWhatOneWouldWriteByHand) {
  EXPECT_EQ(query({}), "{}");
  EXPECT_EQ(query(where("a").eq(1) && where("b").gt(2)), R"({"a":{"$eq":1},"b":{"$gt":2}})");
  EXPECT_EQ(query(where("a").gt(1) && where("a").lt(3)), R"({"$and":[{"a":{"$gt":1}},{"a":{"$lt":3}}]})");
  EXPECT_EQ(query(where("a").eq(1) || where("b").in({1, 2})), R"({"$or":[{"a":{"$eq":1}},{"b":{"$in":[1,2]}}]})");
  EXPECT_EQ(query(!where("a").missing()), R"({"$nor":[{"a":{"$exists":false}}]})");
  EXPECT_EQ(query(where("l").any(where("k").eq("w") && where("n").eq(5))),
            R"({"l":{"$elemMatch":{"k":{"$eq":"w"},"n":{"$eq":5}}}})");
  EXPECT_EQ(query(where("s").starts_with("a.*b")), R"({"s":{"$regex":"^a\\.\\*b"}})");
}

// `$in` and its like take a document that begins with an operator for one, and a pattern for a search.
TEST(Query, DataThatLooksLikeAnOperatorIsComparedAsItIs) {
  const Value sent = *document_from_json(R"({"$gt":""})");
  EXPECT_EQ(query(where("a").eq(sent)), R"({"a":{"$eq":{"$gt":""}}})");
  EXPECT_EQ(query(where("a").ne(sent)), R"({"$nor":[{"a":{"$eq":{"$gt":""}}}]})");
  EXPECT_EQ(query(where("a").in({1, sent})), R"({"$or":[{"a":{"$eq":{"$gt":""}}},{"a":{"$in":[1]}}]})");
  EXPECT_EQ(query(where("a").not_in({sent})), R"({"$nor":[{"$or":[{"a":{"$eq":{"$gt":""}}}]}]})");
  EXPECT_EQ(query(where("a").has_all({sent, 1})), R"({"$and":[{"a":{"$eq":{"$gt":""}}},{"a":{"$all":[1]}}]})");
  const Value pattern = Regex{std::string(".*\0", 3)};
  EXPECT_TRUE(query(where("a").in({pattern})).starts_with(R"({"$or":[{"a":{"$eq":)"));
}

}  // namespace
}  // namespace mg::documents
