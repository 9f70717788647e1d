#include "broker/nats/stored.h"

#include <nats/nats.h>

#include <boost/json.hpp>
#include <charconv>
#include <memory>
#include <vector>

namespace mg::broker {
namespace {

constexpr std::int64_t kWait_ms = 5000;  // For each question to JetStream.

std::int64_t ns(std::chrono::milliseconds time) {
  return std::chrono::nanoseconds(time).count();
}

struct Context {
  jsCtx* js = nullptr;
  jsErrCode code = static_cast<jsErrCode>(0);
  natsStatus status = NATS_OK;
  explicit Context(natsConnection* connection) {
    jsOptions options;
    jsOptions_Init(&options);
    options.Wait = kWait_ms;
    status = natsConnection_JetStream(&js, connection, &options);
  }
  ~Context() { jsCtx_Destroy(js); }
  std::unexpected<Error> failed(std::string_view what) const {
    return fail(code::kUnavailable, "nats: {}: {}{}", what, natsStatus_GetText(status),
                this->code != 0 ? fmt::format(" (JetStream error {})", static_cast<int>(this->code)) : "");
  }
};

}  // namespace

std::string stored_name(std::string_view text) {
  std::string name;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-') {
      name += c;
    } else {
      name += fmt::format("_{:02x}", static_cast<unsigned char>(c));
    }
  }
  return name;
}

std::string dead_topic(std::string_view topic) {
  return std::string(topic) + ".dead";
}

std::string deliver_subject(std::string_view topic, std::string_view queue) {
  return "_mg.deliver." + stored_name(topic) + "." + stored_name(queue);
}

Result<void> ensure_stream(natsConnection* connection, const StoredTopic& topic) {
  Context context(connection);
  if (context.status != NATS_OK) return context.failed("JetStream");
  const std::string name = stored_name(topic.topic), dead = dead_topic(topic.topic);
  const char* subjects[] = {topic.topic.c_str(), dead.c_str()};
  jsStreamConfig config;
  jsStreamConfig_Init(&config);
  config.Name = name.c_str();
  config.Subjects = subjects;
  config.SubjectsLen = 2;
  config.Retention = js_LimitsPolicy;
  config.Discard = js_DiscardOld;
  config.Storage = js_FileStorage;
  config.MaxAge = ns(topic.max_age);
  config.MaxBytes = topic.max_bytes;
  config.Replicas = topic.replicas;
  config.Duplicates = ns(std::min(topic.duplicate_window, topic.max_age));
  context.status = js_AddStream(nullptr, context.js, &config, nullptr, &context.code);
  if (context.status == NATS_OK || context.code == JSStreamNameExistErr) return {};
  return context.failed("the stream of " + topic.topic);
}

Result<void> ensure_consumer(natsConnection* connection, const StoredTopic& topic, std::string_view queue,
                             bool from_beginning) {
  Context context(connection);
  if (context.status != NATS_OK) return context.failed("JetStream");
  const std::string stream = stored_name(topic.topic), name = stored_name(queue);
  jsConsumerInfo* known = nullptr;
  context.status = js_GetConsumerInfo(&known, context.js, stream.c_str(), name.c_str(), nullptr, &context.code);
  jsConsumerInfo_Destroy(known);
  if (context.status == NATS_OK) return {};
  context.code = static_cast<jsErrCode>(0);
  const std::string deliver = deliver_subject(topic.topic, queue), group(queue);
  jsConsumerConfig config;
  jsConsumerConfig_Init(&config);
  config.Durable = name.c_str();
  config.FilterSubject = topic.topic.c_str();
  config.DeliverPolicy = from_beginning ? js_DeliverAll : js_DeliverNew;
  config.AckPolicy = js_AckExplicit;
  config.AckWait = ns(topic.ack_wait);
  config.MaxDeliver = -1;  // Counted by who handles them, who also knows where the rest goes.
  config.MaxAckPending = topic.max_in_flight;
  config.DeliverSubject = deliver.c_str();
  config.DeliverGroup = group.c_str();
  context.status = js_AddConsumer(nullptr, context.js, stream.c_str(), &config, nullptr, &context.code);
  if (context.status == NATS_OK) return {};
  return context.failed(fmt::format("the consumer {} of {}", queue, topic.topic));
}

Result<void> read_stored(std::string_view answer) {
  boost::system::error_code error;
  const boost::json::value parsed = boost::json::parse(boost::json::string_view(answer.data(), answer.size()), error);
  const boost::json::object* const object = error ? nullptr : parsed.if_object();
  if (!object) return fail(code::kUnavailable, "nats: the answer to a message to be stored cannot be read");
  if (const boost::json::value* const refused = object->if_contains("error")) {
    const boost::json::object* const why = refused->if_object();
    const boost::json::value* const text = why ? why->if_contains("description") : nullptr;
    return fail(code::kUnavailable, "nats: the message was not stored: {}",
                text && text->is_string() ? std::string_view(text->get_string()) : "no reason given");
  }
  if (!object->contains("seq")) return fail(code::kUnavailable, "nats: somebody else answers for JetStream");
  return {};
}

std::optional<Delivered> read_delivered(std::string_view reply) {
  // $JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<consumer sequence>.<time>.<pending>, or with domain and
  // account after ACK and more behind.
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at <= reply.size();) {
    const std::size_t dot = std::min(reply.find('.', at), reply.size());
    parts.push_back(reply.substr(at, dot - at));
    at = dot + 1;
  }
  if (parts.size() < 9 || parts[0] != "$JS" || parts[1] != "ACK") return std::nullopt;
  const std::size_t first = parts.size() >= 11 ? 6 : 4;
  const auto number = [](std::string_view text, std::uint64_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size();
  };
  Delivered delivered;
  if (!number(parts[first], delivered.times) || !number(parts[first + 1], delivered.sequence) ||
      !number(parts[first + 3], delivered.time_ns)) {
    return std::nullopt;
  }
  return delivered;
}

Handled::State Handled::take(const Delivered& message) {
  const Key key(message.sequence, message.time_ns);
  const std::lock_guard lock(mutex_);
  if (done_.contains(key)) return State::kDone;
  return in_hand_.insert(key).second ? State::kNew : State::kInHand;
}

void Handled::done(const Delivered& message, bool handled) {
  const Key key(message.sequence, message.time_ns);
  const std::lock_guard lock(mutex_);
  in_hand_.erase(key);
  if (!handled || !done_.insert(key).second) return;
  order_.push_back(key);
  if (order_.size() > most_) {
    done_.erase(order_.front());
    order_.pop_front();
  }
}

}  // namespace mg::broker
