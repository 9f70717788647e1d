#include "mg/agent/peer.h"

#include <gtest/gtest.h>

namespace mg::agent {
namespace {

std::string canonical(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address ? address->to_string() : "-";
}

TEST(IpAddress, ReadsTheFormsInUse) {
  EXPECT_EQ(canonical("1.2.3.4"), "1.2.3.4");
  EXPECT_EQ(canonical("1.2.3.4:80"), "1.2.3.4");
  EXPECT_EQ(canonical("::1"), "::1");
  EXPECT_EQ(canonical("[::1]"), "::1");
  EXPECT_EQ(canonical("[2001:DB8:0::1]:65535"), "2001:db8::1");
  EXPECT_EQ(canonical("::ffff:1.2.3.4"), "1.2.3.4");
  EXPECT_EQ(canonical("[::ffff:102:304]:1"), "1.2.3.4");
  EXPECT_EQ(canonical("::"), "::");
  for (std::string_view bad : {"",
                               " ",
                               "1.2.3",
                               "1.2.3.4.5",
                               "1.2.3.256",
                               "01.2.3.4",
                               "1.2.3.4:",
                               "1.2.3.4:x",
                               "1.2.3.4:65536",
                               "1.2.3.4/8",
                               "::1::",
                               "[::1",
                               "::1]",
                               "[::1]x",
                               "[::1]:",
                               "[1.2.3.4]",
                               "[]",
                               "fe80::1%eth0",
                               "unknown",
                               "localhost",
                               ":80",
                               "1.2.3.4, 5.6.7.8",
                               "1:2:3:4:5:6:7:8:9",
                               "-1.2.3.4",
                               "0x1.2.3.4"}) {
    EXPECT_EQ(canonical(bad), "-") << bad;
  }
  EXPECT_EQ(canonical(std::string_view("1.2.3.4\0", 8)), "-");
  EXPECT_EQ(canonical(std::string(100000, '1')), "-");
}

TEST(AddressList, HoldsAddressesAndBlocks) {
  const auto list = AddressList::parse({"10.0.0.0/8", " 192.168.1.77 ", "172.16.5.4/12", "fd00::/8", "2001:db8::1"});
  ASSERT_TRUE(list);
  for (const char* in : {"10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3", "192.168.1.77", "172.31.255.255", "fd12::9",
                         "fdff::", "2001:db8::1"}) {
    EXPECT_TRUE(list->contains(in)) << in;
  }
  for (const char* out : {"9.255.255.255", "11.0.0.0", "192.168.1.78", "172.32.0.0", "172.15.255.255",
                          "fe00::", "fc00::", "2001:db8::2", "::1", "", "x"}) {
    EXPECT_FALSE(list->contains(out)) << out;
  }
  EXPECT_TRUE(AddressList::parse({"0.0.0.0/0"})->contains("8.8.8.8"));
  EXPECT_FALSE(AddressList::parse({"0.0.0.0/0"})->contains("::1"));
  EXPECT_TRUE(AddressList::parse({"::/0"})->contains("8.8.8.8"));
  EXPECT_TRUE(AddressList::parse({"::ffff:10.0.0.0/104"})->contains("10.9.9.9"));
  EXPECT_TRUE(AddressList::parse({"10.0.0.1/32"})->contains("10.0.0.1"));
  EXPECT_FALSE(AddressList::parse({"10.0.0.0/31"})->contains("10.0.0.2"));
  EXPECT_TRUE(AddressList::parse(std::vector<std::string>{})->empty());
}

TEST(AddressList, NamesTheEntryThatIsWrong) {
  for (const char* bad : {"", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1", "10.0.0.0/8/8", "/8",
                          "10.0.0.1:8", "[::1]", "[::1]:80", "proxy.local", "10.0.0.0/256"}) {
    const auto list = AddressList::parse({"127.0.0.1", bad});
    ASSERT_FALSE(list) << bad;
    EXPECT_EQ(list.error().code, code::kInvalid);
    EXPECT_NE(list.error().detail.find(std::string("\"") + bad + "\""), std::string::npos);
  }
}

TEST(ClientIp, BelievesHeadersOnlyFromTrustedProxies) {
  const AddressList none;
  const AddressList proxies = *AddressList::parse({"10.0.0.0/8", "::1"});
  struct Case {
    const char* peer;
    const char* forwarded_for;
    const char* real_ip;
    const char* expected;
  };
  const Case cases[] = {
      {"10.0.0.1", "", "", "10.0.0.1"},
      {"10.0.0.1", "1.2.3.4", "", "1.2.3.4"},
      {"10.0.0.1", "1.2.3.4", "5.6.7.8", "1.2.3.4"},
      {"10.0.0.1", "", "5.6.7.8", "5.6.7.8"},
      {"10.0.0.1", "", "junk", "10.0.0.1"},
      {"10.0.0.1", " , ,", "5.6.7.8", "5.6.7.8"},
      {"10.0.0.1", "6.6.6.6, 1.2.3.4", "", "1.2.3.4"},                   // 6.6.6.6 is what the player claims.
      {"10.0.0.1", "6.6.6.6,1.2.3.4,10.0.0.7,10.0.0.8", "", "1.2.3.4"},  // Two proxies of ours.
      {"10.0.0.1", "10.0.0.3, 10.0.0.2", "", "10.0.0.3"},                // All trusted: the first.
      {"10.0.0.1", "6.6.6.6, junk, 10.0.0.2", "", "10.0.0.1"},
      {"10.0.0.1", "junk, 1.2.3.4, 10.0.0.2", "", "1.2.3.4"},
      {"10.0.0.1", "unknown", "5.6.7.8", "10.0.0.1"},
      {"10.0.0.1", "1.2.3.4:5555", "", "1.2.3.4"},
      {"10.0.0.1", "\t[2001:db8::9]:5555 ", "", "2001:db8::9"},
      {"10.0.0.1:40000", "1.2.3.4", "", "1.2.3.4"},
      {"::ffff:10.0.0.1", "1.2.3.4", "", "1.2.3.4"},
      {"::1", "::ffff:1.2.3.4", "", "1.2.3.4"},
      {"11.0.0.1", "1.2.3.4", "5.6.7.8", "11.0.0.1"},
      {"::ffff:11.0.0.1", "1.2.3.4", "", "11.0.0.1"},
      {"[fe80::2]:9", "1.2.3.4", "", "fe80::2"},
      {"", "1.2.3.4", "", ""},
      {"local", "1.2.3.4", "", "local"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(client_ip(c.peer, c.forwarded_for, c.real_ip, proxies), c.expected)
        << c.peer << " | " << c.forwarded_for << " | " << c.real_ip;
  }
  EXPECT_EQ(client_ip("127.0.0.1", "1.2.3.4", "1.2.3.4", none), "127.0.0.1");
}

}  // namespace
}  // namespace mg::agent
