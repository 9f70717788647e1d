// tools/client/connection.h -- one client's connection to a gate: ws, wss, tcp or tcps.
//
//   auto connection = Connection::open(url, {}, std::chrono::seconds(10));           // Result
//   (*connection)->send({.serial = 1, .cmd = 10004}, {});
//   while (true) { poll((*connection)->fd()); (*connection)->receive(); ...next()... }
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "agent/ws/framing.h"
#include "mg/base/bytes.h"
#include "mg/base/error.h"
#include "mg/codec/head.h"
#include "tools/common/url.h"

namespace mgclient {

struct Trust {
  std::string ca{};       // PEM file; empty: the system's authorities.
  bool insecure = false;  // Take any certificate.
};

struct Packet {
  mg::codec::ServerHead head;
  std::string body;
};

// Errors of all: kUnavailable  no connection, or it has ended: names the URL, what happened and what to do
//                kInvalid      what came is not what a gate sends
//                kTimeout      nothing moved for the time given
// Threads: one at a time.
class Connection {
 public:
  // Connects, shakes hands; all of it within `timeout`, which sends are bound by too.
  static mg::Result<std::unique_ptr<Connection>> open(const mgtools::Url& url, const Trust& trust,
                                                      std::chrono::milliseconds timeout);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  mg::Result<void> send(const mg::codec::ClientHead& head, std::string_view body);

  // To be polled for input; then call receive(), then next() until it has none.
  int fd() const { return fd_; }
  // Takes in what has come, without waiting. The end of the connection is told by next(), behind all packets.
  void receive();
  // The next packet that is whole; none: receive more. Errors: the connection has ended
  mg::Result<std::optional<Packet>> next();

  // Leaves politely, waiting a moment for the gate to have read all.
  void close();

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  struct Tls;

  Connection(const mgtools::Url& url, std::chrono::milliseconds timeout);
  mg::Result<void> dial(Deadline deadline);
  mg::Result<void> start_tls(const Trust& trust, Deadline deadline);
  mg::Result<void> upgrade(Deadline deadline);
  mg::Result<void> write(std::string_view octets, Deadline deadline);
  mg::Result<void> wait(short events, Deadline deadline, std::string_view what);
  void write_frame(mg::agent::ws::Opcode opcode, mg::Bytes payload);
  mg::Result<std::optional<Packet>> next_ws();
  mg::Result<std::optional<Packet>> next_tcp();
  std::unexpected<mg::Error> ended();

  const mgtools::Url url_;
  const std::chrono::milliseconds timeout_;
  int fd_ = -1;
  std::unique_ptr<Tls> tls_;
  std::string in_;
  std::string end_;  // Why nothing more comes; empty: it may.
  mg::agent::ws::FrameOptions frames_;
  mg::agent::ws::FrameParser parser_;
};

}  // namespace mgclient
