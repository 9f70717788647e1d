#include "tools/protoc_gen_rpc/baseline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tools/protoc_gen_rpc/test_files.h"

namespace rpcgen {
namespace {

using testing::HasSubstr;

std::string faults_of(const TestFiles::Texts& old, const TestFiles::Texts& now, const Options& options = {}) {
  Faults faults;
  compare(TestFiles(old).set(), TestFiles(now).files(), options, faults);
  return faults.text();
}

// Of one file, whose head stands on line 1.
std::string changes(const std::string& old, const std::string& now, const Options& options = {}) {
  const std::string head = "syntax = \"proto3\"; package p;\n";
  return faults_of({{"a.proto", head + old}}, {{"a.proto", head + now}}, options);
}

const Options kWire{.wire_only = true};

struct Case {
  const char* old;
  const char* now;
  const char* fault;       // All that is told, but for "breaking change: "; "" when it is compatible.
  const char* wire_fault;  // With compat=wire; null: the same.
};

const Case kCases[] = {
    // What is added harms nobody.
    {"message A { int32 x = 1; }", "message A { int32 x = 1; int32 y = 2; } message B {} enum E { Z = 0; }", "",
     nullptr},
    {"enum E { Z = 0; }", "enum E { Z = 0; ONE = 1; }", "", nullptr},
    {"message A {} service S {}", "message A {} service S { rpc X(A) returns (A); } service T {}", "", nullptr},
    {"message A { int32 x = 1; int32 y = 2; }", "// Comment\nmessage A {\n int32 y = 2; int32 x = 1;\n}", "", nullptr},
    {"message A { repeated int32 x = 1; }", "message A { repeated int32 x = 1 [packed = false]; }", "", nullptr},
    {"message A { int32 x = 1; }", "message A { optional int32 x = 1; }", "", nullptr},
    {"message A { int32 x = 1; }", "message A { oneof o { int32 x = 1; } }", "", nullptr},
    {"message A { oneof o { int32 x = 1; int32 y = 2; } }",
     "message A { oneof other { int32 x = 1; int32 y = 2; int32 z = 3; } }", "", nullptr},

    // Fields.
    {"message A { int32 x = 1; }", "message A {}",
     "a.proto:2:9: field p.A.x (1) was removed; if that is meant, write: reserved 1; reserved \"x\";", nullptr},
    {"message A { int32 x = 1; }", "message A { reserved 1; reserved \"x\"; }", "", nullptr},
    {"message A { int32 x = 1; }", "message A { reserved 1; }",
     "a.proto:2:9: field p.A.x (1) was removed; if that is meant, write: reserved 1; reserved \"x\";", ""},
    {"message A { int32 x = 1; }", "message A { int32 x = 2; }", "a.proto:2:19: field p.A.x (1): its number is 2 now",
     nullptr},
    {"message A { int32 x = 1; }", "message A { int32 y = 1; }",
     "a.proto:2:19: field p.A.x (1): its name is y now (JSON has names; compat=wire allows it)", ""},
    {"message A { int32 x = 1; int32 y = 2; }", "message A { int32 x = 2; int32 y = 1; }",
     "a.proto:2:19: field p.A.x (1): its number is 2 now\n"
     "a.proto:2:32: field p.A.y (2): its number is 1 now",
     ""},
    {"message A { int32 x = 1; }", "message A { int64 x = 1; }",
     "a.proto:2:19: field p.A.x (1): its type was int32, is int64", nullptr},
    {"message A { uint32 x = 1; }", "message A { string x = 1; }",
     "a.proto:2:20: field p.A.x (1): its type was uint32, is string", nullptr},
    {"message A { string x = 1; }", "message A { bytes x = 1; }",
     "a.proto:2:19: field p.A.x (1): its type was string, is bytes", nullptr},
    {"message A { B x = 1; } message B {} message C {}", "message A { C x = 1; } message B {} message C {}",
     "a.proto:2:15: field p.A.x (1): its type was p.B, is p.C", nullptr},
    {"message A { E x = 1; } enum E { Z = 0; }", "message A { int32 x = 1; } enum E { Z = 0; }",
     "a.proto:2:19: field p.A.x (1): its type was p.E, is int32", nullptr},
    {"message A { int32 x = 1; }", "message A { repeated int32 x = 1; }",
     "a.proto:2:28: field p.A.x (1): it was single, is repeated", nullptr},
    {"message A { repeated int32 x = 1; }", "message A { int32 x = 1; }",
     "a.proto:2:19: field p.A.x (1): it was repeated, is single", nullptr},
    {"message A { map<string, int32> x = 1; }", "message A { map<string, int64> x = 1; }",
     "a.proto:2:32: field p.A.x (1): its type was map<string, int32>, is map<string, int64>", nullptr},
    {"message A { map<string, int32> x = 1; }", "message A { map<string, int32> y = 1; }",
     "a.proto:2:32: field p.A.x (1): its name is y now (JSON has names; compat=wire allows it)", ""},
    {"message A { map<string, A> x = 1; }", "message A { repeated A x = 1; }",
     "a.proto:2:24: field p.A.x (1): its type was map<string, p.A>, is p.A", nullptr},
    {"message A { int32 x = 1; }", "message A { int32 x = 1 [json_name = \"q\"]; }",
     "a.proto:2:19: field p.A.x (1): its JSON name was x, is q", ""},
    {"message A { message B { int32 x = 1; } }", "message A { message B { string x = 1; } }",
     "a.proto:2:32: field p.A.B.x (1): its type was int32, is string", nullptr},
    {"message A { int32 x = 1; oneof o { int32 y = 2; } }", "message A { oneof o { int32 x = 1; int32 y = 2; } }",
     "a.proto:2:29: field p.A.x (1): it was in no oneof, is in o", nullptr},
    {"message A { oneof o { int32 x = 1; int32 y = 2; } }", "message A { int32 x = 1; oneof o { int32 y = 2; } }",
     "a.proto:2:19: field p.A.x (1): it was in oneof o, is in none\n"
     "a.proto:2:42: field p.A.y (2): it was in a oneof with x, is not",
     nullptr},
    {"message A { reserved 2, 5 to 7; }", "message A { int32 x = 6; }",
     "a.proto:2:19: field p.A.x (6): its number was reserved, for a field of former times", nullptr},
    {"message A { reserved \"x\"; }", "message A { int32 x = 6; }",
     "a.proto:2:19: field p.A.x (6): its name was reserved, for a field of former times", ""},

    // Messages and enums.
    {"message A {} message B {}", "message B {}", "a.proto:1:1: message p.A was removed", nullptr},
    {"message A { message B {} }", "message A {}", "a.proto:2:9: message p.A.B was removed", nullptr},
    {"enum E { Z = 0; } message A {}", "message A {}", "a.proto:1:1: enum p.E was removed", nullptr},
    {"enum E { Z = 0; ONE = 1; }", "enum E { Z = 0; }",
     "a.proto:2:6: enum value p.E.ONE (1) was removed; if that is meant, write: reserved 1; reserved \"ONE\";",
     nullptr},
    {"enum E { Z = 0; ONE = 1; }", "enum E { Z = 0; reserved 1; reserved \"ONE\"; }", "", nullptr},
    {"enum E { Z = 0; ONE = 1; }", "enum E { Z = 0; ONE = 2; }",
     "a.proto:2:17: enum value p.E.ONE (1): its number is 2 now", nullptr},
    {"enum E { Z = 0; ONE = 1; }", "enum E { Z = 0; UNO = 1; }",
     "a.proto:2:17: enum value p.E.ONE (1): its name is UNO now (JSON has names; compat=wire allows it)", ""},
    {"enum E { Z = 0; ONE = 1; }", "enum E { option allow_alias = true; Z = 0; UNO = 1; ONE = 1; }", "", nullptr},
    {"message A { enum E { Z = 0; reserved 3; } }", "message A { enum E { Z = 0; THREE = 3; } }",
     "a.proto:2:29: enum value p.A.E.THREE (3): its number was reserved, for a value of former times", nullptr},

    // Services.
    {"message A {} service S {}", "message A {}", "a.proto:1:1: service p.S was removed", nullptr},
    {"message A {} service S { rpc X(A) returns (A); }", "message A {} service S {}",
     "a.proto:2:22: method p.S.X was removed", nullptr},
    {"message A {} message B {} service S { rpc X(A) returns (A); }",
     "message A {} message B {} service S { rpc X(B) returns (A); }",
     "a.proto:2:43: method p.S.X: its request was p.A, is p.B", nullptr},
    {"message A {} message B {} service S { rpc X(A) returns (A); }",
     "message A {} message B {} service S { rpc X(A) returns (B); }",
     "a.proto:2:43: method p.S.X: its reply was p.A, is p.B", nullptr},
    {"message A {} service S { rpc X(A) returns (A); }", "message A {} service S { rpc X(stream A) returns (A); }",
     "a.proto:2:30: method p.S.X: its request was one message, is a stream", nullptr},
    {"message A {} service S { rpc X(A) returns (stream A); }", "message A {} service S { rpc X(A) returns (A); }",
     "a.proto:2:30: method p.S.X: its reply was a stream, is one message", nullptr},
    // A command is known by its number.
    {"message A {} service S { rpc X_7(A) returns (A); }", "message A {} service S { rpc Y_7(A) returns (A); }", "",
     nullptr},
    {"message A {} service S { rpc X_7(A) returns (A); }", "message A {} service S { rpc X_8(A) returns (A); }",
     "a.proto:2:22: method p.S.X_7 was removed", nullptr},
};

TEST(SchemaGuard, TellsBreakingChangesAndNoOthers) {
  for (const Case& one : kCases) {
    for (const bool wire : {false, true}) {
      std::string told = changes(one.old, one.now, wire ? kWire : Options{});
      const std::string mark = "breaking change: ";
      for (std::size_t at = 0; (at = told.find(mark)) != told.npos;) told.erase(at, mark.size());
      EXPECT_EQ(told, wire && one.wire_fault ? one.wire_fault : one.fault)
          << (wire ? "compat=wire" : "compat=json") << "\nold: " << one.old << "\nnow: " << one.now;
    }
    EXPECT_EQ(changes(one.old, one.old), "") << one.old;
  }
}

TEST(SchemaGuard, TellsAChangedPackageOnce) {
  EXPECT_EQ(faults_of({{"a.proto", "syntax = \"proto3\";\npackage p; message A {} message B {}"}},
                      {{"a.proto", "syntax = \"proto3\";\npackage q; message A {} message B {}"}}),
            "a.proto:2:1: breaking change: the package was \"p\", is \"q\": all names in it change");
}

TEST(SchemaGuard, KnowsProto2) {
  const std::string head = "syntax = \"proto2\"; package p;\n";
  EXPECT_EQ(
      faults_of({{"a.proto", head + "message A { optional int32 x = 1 [default = 1]; optional int32 y = 2; }"}},
                {{"a.proto", head + "message A { optional int32 x = 1 [default = 2]; required int32 y = 2; required "
                                    "int32 z = 3; }"}}),
      "a.proto:2:28: breaking change: field p.A.x (1): its default value changed\n"
      "a.proto:2:64: breaking change: field p.A.y (2): it was single, is required\n"
      "a.proto:2:86: breaking change: field p.A.z (3) is new and required: messages of older peers lack it");
  EXPECT_EQ(
      faults_of({{"a.proto", "syntax = \"proto2\"; message A {}"}}, {{"a.proto", "syntax = \"proto3\"; message A {}"}}),
      "a.proto:1:1: breaking change: the syntax was proto2, is proto3");
}

TEST(SchemaGuard, LetsElementsMoveBetweenFiles) {
  const std::string head = "syntax = \"proto3\"; package p; ";
  EXPECT_EQ(faults_of({{"a.proto", head + "message A {} message B {}"}, {"b.proto", head}},
                      {{"a.proto", head + "message B {}"}, {"b.proto", head + "message A {}"}}),
            "");
}

TEST(SchemaGuard, MissesAFileOnlyWhenItIsGivenTheWholeSchema) {
  const std::string head = "syntax = \"proto3\"; package p; ";
  const TestFiles::Texts old = {{"a.proto", head + "message A {}"}, {"b.proto", head + "message B {}"}};
  const TestFiles::Texts now = {{"a.proto", head + "message A {}"}};
  EXPECT_EQ(faults_of(old, now), "");
  EXPECT_EQ(faults_of(old, now, {.check = true}), "b.proto:1:1: breaking change: message p.B was removed");
  const TestFiles::Texts moved = {{"a.proto", head + "message A {} message B {}"}};
  EXPECT_EQ(faults_of(old, moved, {.check = true}), "");
}

TEST(SchemaGuard, ReadsItsBaselineFromAFile) {
  const TestFiles now({{"a.proto", "syntax = \"proto3\"; message A { string x = 1; }"}});
  const std::filesystem::path file = testing::TempDir() + "protoc_gen_rpc_baseline.binpb";
  const std::string parameter = "baseline=" + file.string();

  std::filesystem::remove(file);
  EXPECT_THAT(now.generate(parameter).error, HasSubstr(file.string() + ": cannot be read; write it with: protoc"));
  std::ofstream(file, std::ios::binary) << "no descriptors";
  EXPECT_THAT(now.generate(parameter).error, HasSubstr(file.string() + ": it is no FileDescriptorSet"));
  std::ofstream(file, std::ios::binary).flush();
  EXPECT_THAT(now.generate(parameter).error, HasSubstr(file.string() + ": it is no FileDescriptorSet"));

  const TestFiles old({{"a.proto", "syntax = \"proto3\"; message A { uint32 x = 1; }"}});
  {
    std::ofstream out(file, std::ios::binary);
    ASSERT_TRUE(old.set().SerializeToOstream(&out));
  }
  const Generated run = now.generate(parameter);
  EXPECT_FALSE(run.ok);
  EXPECT_EQ(run.error, "refused:\na.proto:1:39: breaking change: field A.x (1): its type was uint32, is string");
  EXPECT_TRUE(old.generate(parameter).ok);
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace rpcgen
