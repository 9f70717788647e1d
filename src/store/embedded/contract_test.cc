#include "mg/store/embedded/embedded.h"
#include "store/documents/documents_contract.h"
#include "tests/support/server.h"

namespace mg::documents {
namespace {

class EmbeddedUnderTest final : public DocumentsUnderTest {
 public:
  EmbeddedUnderTest() {
    auto opened = Embedded::open({.path = dir_.path() + "/game.db", .timeout = std::chrono::seconds(15)});
    if (!opened) throw std::runtime_error(opened.error().detail);
    store_ = *std::move(opened);
  }
  ~EmbeddedUnderTest() override {
    // Everything a test did left indexes and documents in agreement.
    const auto fine = testing::await_on(loop_, store_->verify(Deadline::never()));
    EXPECT_TRUE(fine) << fine.error().detail;
    store_->close();
    while (loop_.poll()) {
    }
  }
  Loop& loop() override { return loop_; }
  Documents& documents() override { return *store_; }

 private:
  testing::TempDir dir_;
  Loop loop_;
  std::unique_ptr<Embedded> store_;
};

INSTANTIATE_TEST_SUITE_P(Embedded, DocumentsContract,
                         ::testing::Values(DocumentsBackend{"Embedded",
                                                            [] { return std::make_unique<EmbeddedUnderTest>(); }}),
                         documents_backend_name);

}  // namespace
}  // namespace mg::documents
