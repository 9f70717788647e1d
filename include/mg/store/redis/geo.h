// mg/store/redis/geo.h -- places on the earth, kept in sorted sets. In quotes: the words of the Redis documentation.
//
//   co_await redis.geoadd("shops", {{"a", {13.36, 38.11}}});
//   auto near = co_await redis.geosearch("shops", GeoPlace{15, 37}, 200'000);     // members and metres
#pragma once

#include "mg/store/redis/port.h"

namespace mg::redis {

// Units: degrees; longitude -180..180, latitude -85.05112878..85.05112878.
struct GeoPlace {
  double longitude = 0;
  double latitude = 0;
};
bool convert(Reply&& reply, GeoPlace& out);

// What to search for: around a place, or a member when it is not empty; within a radius, or a box when it is 0.
// Units: metres.
struct GeoQuery {
  GeoPlace from = {};
  std::string from_member = {};
  double radius = 0;
  double width = 0, height = 0;
  std::int64_t count = 0;  // 0: all.
  bool farthest_first = false;
};
struct GeoHit {
  std::string member;
  double metres = 0;
  GeoPlace place;
};
bool convert(Reply&& reply, GeoHit& out);

class Geo : public virtual Port {
 public:
  // "Adds the specified geospatial items (longitude, latitude, name) to the specified key." How many are new.
  Task<Result<std::int64_t>> geoadd(std::string_view key, const std::vector<std::pair<std::string, GeoPlace>>& members,
                                    Within within = {}) {
    Command command("GEOADD", key);
    for (const auto& [member, place] : members) command.add(place.longitude).add(place.latitude).add(member);
    return ask<std::int64_t>(within, command);
  }
  // "Return the positions (longitude,latitude) of all the specified members."
  Task<Result<std::vector<std::optional<GeoPlace>>>> geopos(std::string_view key, const Texts& members,
                                                            Within within = {}) {
    return ask<std::vector<std::optional<GeoPlace>>>(within, std::move(Command("GEOPOS", key).add_all(members)));
  }
  // "Return the distance between two members." Units: metres. Nothing when one is missing.
  Task<Result<std::optional<double>>> geodist(std::string_view key, std::string_view a, std::string_view b,
                                              Within within = {}) {
    return ask<std::optional<double>>(within, Command("GEODIST", key, a, b, "m"));
  }
  // "Return valid Geohash strings representing the position of one or more elements."
  Task<Result<MaybeTexts>> geohash(std::string_view key, const Texts& members, Within within = {}) {
    return ask<MaybeTexts>(within, std::move(Command("GEOHASH", key).add_all(members)));
  }
  // "Return the members of a sorted set populated with geospatial information using GEOADD, which are within the
  // borders of the area specified by a given shape." Nearest first. Errors: also kInvalid  no such member
  Task<Result<std::vector<GeoHit>>> geosearch(std::string_view key, const GeoQuery& query, Within within = {});
  // "This command is like GEOSEARCH, but stores the result in destination key", or their distances. Its size.
  Task<Result<std::int64_t>> geosearchstore(std::string_view to, std::string_view key, const GeoQuery& query,
                                            bool distances = false, Within within = {});
  // Members within `metres` of a place, nearest first, with their distance; `count` at most, 0: all.
  Task<Result<std::vector<std::pair<std::string, double>>>> geosearch(std::string_view key, GeoPlace from,
                                                                      double metres, std::int64_t count = 0,
                                                                      Within within = {}) {
    Command command("GEOSEARCH", key, "FROMLONLAT", from.longitude, from.latitude, "BYRADIUS", metres, "m", "ASC");
    if (count > 0) command.add("COUNT").add(count);
    return ask<std::vector<std::pair<std::string, double>>>(within, command.add("WITHDIST"));
  }
};

}  // namespace mg::redis
