// tools/protoc_gen_rpc/test_files.h -- for tests: .proto files from texts, and what a run of the generator gave.
//
//   TestFiles files({{"a.proto", "syntax = \"proto3\"; message A {}"}});
//   Generated run = files.generate("check");       // run.made["a.rpc.pb.h"], run.error
#pragma once

#include <google/protobuf/compiler/importer.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tools/protoc_gen_rpc/generator.h"

namespace rpcgen {

struct Generated {
  bool ok = false;
  std::string error;
  std::map<std::string, std::string> made;
};

class TestFiles {
 public:
  using Texts = std::map<std::string, std::string>;

  explicit TestFiles(Texts texts) : tree_(std::move(texts)), importer_(&tree_, &complaints_) {
    for (const auto& [name, text] : tree_.texts) {
      const auto* file = importer_.Import(name);
      EXPECT_NE(file, nullptr) << name;
      if (file) files_.push_back(file);
    }
  }

  const std::vector<const google::protobuf::FileDescriptor*>& files() const { return files_; }

  google::protobuf::FileDescriptorSet set() const {
    google::protobuf::FileDescriptorSet set;
    for (const auto* file : files_) {
      file->CopyTo(set.add_file());
      file->CopyJsonNameTo(&*set.mutable_file()->rbegin());
    }
    return set;
  }

  Generated generate(const std::string& parameter) const {
    Generated run;
    Output output(run.made);
    run.ok = Generator().GenerateAll(files_, parameter, &output, &run.error);
    return run;
  }

 private:
  struct Tree : google::protobuf::compiler::SourceTree {
    explicit Tree(Texts all) : texts(std::move(all)) {}
    google::protobuf::io::ZeroCopyInputStream* Open(const std::string& name) override {
      const auto text = texts.find(name);
      if (text != texts.end()) {
        return new google::protobuf::io::ArrayInputStream(text->second.data(), static_cast<int>(text->second.size()));
      }
      return installed.Open(name);
    }
    struct Installed : google::protobuf::compiler::DiskSourceTree {
      Installed() { MapPath("", PROTOBUF_INCLUDE_DIR); }
    } installed;
    Texts texts;
  };
  struct Complaints : google::protobuf::compiler::MultiFileErrorCollector {
    void AddError(const std::string& file, int line, int column, const std::string& text) override {
      ADD_FAILURE() << file << ':' << line + 1 << ':' << column + 1 << ": " << text;
    }
  };
  struct Output : google::protobuf::compiler::GeneratorContext {
    explicit Output(std::map<std::string, std::string>& texts) : made(texts) {}
    google::protobuf::io::ZeroCopyOutputStream* Open(const std::string& name) override {
      return new google::protobuf::io::StringOutputStream(&made[name]);
    }
    std::map<std::string, std::string>& made;
  };

  Complaints complaints_;
  Tree tree_;
  google::protobuf::compiler::Importer importer_;
  std::vector<const google::protobuf::FileDescriptor*> files_;
};

}  // namespace rpcgen
