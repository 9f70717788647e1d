#include "mg/rpc/exchange.h"

namespace mg::rpc {

void Exchange::release() noexcept {
  Core& core = *core_;
  --core.taken;
  if (core.closed) {
    const bool last = core.taken == 0;
    delete this;
    if (last) delete &core;
    return;
  }
  const std::size_t size = request_->ByteSizeLong() + reply_->ByteSizeLong();
  const bool keep = core.free_count < ExchangePool::kKeepLarge
                        ? size <= ExchangePool::kKeepOctets
                        : size <= ExchangePool::kSmallOctets && core.free_count < ExchangePool::kKeep;
  if (!keep) {
    delete this;
    return;
  }
  request_->Clear();
  reply_->Clear();
  next_ = std::exchange(core.free, this);
  ++core.free_count;
}

ExchangePool::ExchangePool(const MessageLite& request, const MessageLite& reply)
    : core_(new Exchange::Core{&request, &reply}) {}

ExchangePool::~ExchangePool() {
  while (core_->free) delete std::exchange(core_->free, core_->free->next_);
  core_->closed = true;
  if (core_->taken == 0) delete core_;
}

ExchangePtr ExchangePool::make() {
  ++core_->taken;
  auto* made = new Exchange;
  made->request_.reset(core_->request->New());
  made->reply_.reset(core_->reply->New());
  made->core_ = core_;
  return ExchangePtr(made);
}

}  // namespace mg::rpc
