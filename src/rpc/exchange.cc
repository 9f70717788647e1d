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
  if (core.free_count >= ExchangePool::kKeepUnmeasured && !worth_keeping()) {
    delete this;
    return;
  }
  request_->Clear();
  reply_->Clear();
  next_ = std::exchange(core.free, this);
  ++core.free_count;
}

bool Exchange::worth_keeping() const {
  const std::size_t size = request_->ByteSizeLong() + reply_->ByteSizeLong();
  if (core_->free_count < ExchangePool::kKeepLarge) return size <= ExchangePool::kKeepOctets;
  return size <= ExchangePool::kSmallOctets && core_->free_count < ExchangePool::kKeep;
}

ExchangePool::ExchangePool(const MessageLite& request, const MessageLite& reply, void* owner)
    : core_(new Exchange::Core{&request, &reply, owner}) {}

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
