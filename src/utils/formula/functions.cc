#include "mg/utils/formula/functions.h"

#include "mg/base/check.h"
#include "utils/formula/builder.h"
#include "utils/formula/code.h"

namespace mg::formula {

std::size_t Arguments::size() const {
  return call_.site.count;
}

Result<double> Arguments::operator[](std::size_t index) const {
  check(index < size(), "no such argument");
  return call_.machine.argument(call_.site, index);
}

Result<> Functions::add(std::string name, Arity arity, Values function) {
  return insert(std::move(name), arity, std::move(function), nullptr);
}

Result<> Functions::add_lazy(std::string name, Arity arity, Lazy function) {
  return insert(std::move(name), arity, nullptr, std::move(function));
}

Result<> Functions::insert(std::string name, Arity arity, Values values, Lazy lazy) {
  if (name.empty()) return fail(code::kInvalid, "RegFunction name is not empty.");
  if (arity.least < 1 || arity.most < arity.least) {
    return fail(code::kInvalid, "RegFunction argc is must has one arg at least.");
  }
  if (detail::find_built_in(name) != nullptr || functions_.contains(name)) {
    return fail(code::kExists, "RegFunction name is already exist.");
  }
  check(values != nullptr || lazy != nullptr, "a function without code");
  auto function = std::make_shared<detail::Function>(name, arity, std::move(values), std::move(lazy));
  functions_.emplace(std::move(name), std::move(function));
  return {};
}

std::shared_ptr<const detail::Function> Functions::find(std::string_view name) const {
  const auto found = functions_.find(name);
  return found == functions_.end() ? nullptr : found->second;
}

}  // namespace mg::formula
