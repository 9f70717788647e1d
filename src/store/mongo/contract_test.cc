#include <cstdlib>
#include <optional>

#include "mg/store/mongo/mongo.h"
#include "store/documents/documents_contract.h"
#include "tests/support/mongo.h"

namespace mg::documents {
namespace {

// With a real one, named by MG_TEST_MONGO_URL, or a server started for the test.
class MongoUnderTest final : public DocumentsUnderTest {
 public:
  explicit MongoUnderTest(std::optional<testing::Server> server) : server_(std::move(server)) {
    const std::string url = server_ ? testing::url_of(*server_) : std::getenv("MG_TEST_MONGO_URL");
    auto connected = testing::await_on(loop_, Mongo::connect({.url = url,
                                                              .database = "t" + ObjectId::make().hex(),
                                                              .min_pool = 4,
                                                              .timeout = std::chrono::milliseconds(15'000)}));
    if (!connected) throw std::runtime_error(connected.error().detail);
    store_ = *std::move(connected);
  }
  ~MongoUnderTest() override {
    if (!server_) {
      const auto names = testing::await_on(loop_, store_->collections(Deadline::never()));
      for (const std::string& name : *names) (void)testing::await_on(loop_, store_->drop({.collection = name}));
    }
    store_->close();
    while (loop_.poll()) {
    }
  }
  Loop& loop() override { return loop_; }
  Documents& documents() override { return *store_; }

 private:
  std::optional<testing::Server> server_;
  Loop loop_;
  std::unique_ptr<Mongo> store_;
};

std::vector<DocumentsBackend> servers() {
  std::vector<DocumentsBackend> out{
      {.name = "Java",
       .make = [] { return std::make_unique<MongoUnderTest>(testing::java_server()); },
       .transactions = false,
       .minds_overflow = false},
      {"Secantus", [] { return std::make_unique<MongoUnderTest>(testing::secantus_server()); }}};
  if (std::getenv("MG_TEST_MONGO_URL") != nullptr) {
    out.push_back({"Real", [] { return std::make_unique<MongoUnderTest>(std::nullopt); }});
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Mongo, DocumentsContract, ::testing::ValuesIn(servers()), documents_backend_name);

}  // namespace
}  // namespace mg::documents
