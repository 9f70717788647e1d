// utils/auth/test_keys.h -- keys and tokens of another implementation (pyca/cryptography), for the tests alone.
//
//   Key::private_pem(Algorithm::kRs256, test_keys::kRsaPrivate);
//   jwt.verify(test_keys::kTokens[0].token);      // {"exp":4000000000,"sub":"x"}
//   (the Ed25519 key is that of RFC 8037 appendix A.1)
#pragma once

#include <string_view>

namespace mg::auth::test_keys {

inline constexpr std::string_view kRsaPrivate = R"(-----BEGIN PRIVATE KEY-----
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCveXYp/ah+/c4w
Bus47KvOp/XjoP0+83qIzEcBgk2Z/WLKt3vhtnfF5YadP6u9ZubeCCntIzYVXuwp
yqKa3O9R+N7mvmyz1ACUGjroVe5H9j40gcJROISz7lTg1Xqv6W8LxxbsdHLbcDnn
n8yBWdWePmSGFUnV1uKNbcCHZUnP9Cafm/18Kyi9vY188XTkH/t+8mpu6ZFIG2vR
5Mav2MxrozNlRvSvY9e7WVBcSx223UOEfHi6VJNZeuTy2AJSkrtGRM7YbqXyNSIx
PwARnaioCy8Nf8nKghl68GS0u5cNtSBmy9o4oNRdG+bNRw8v+B6LMs0B0u5bHo4y
YG3wll0TAgMBAAECggEACx4H58soOU3GYyjdDyM3gReZrrHfJ1DemLIr+FoTgNo/
UfIIm6uVHjIy+5RW+Zci+jqDChNPdJm8Qz2ROA7WfsUt4iBWJL35EtbCmGTfDuId
JoYwXRL7L6crfchNRlAt9sRZCr5g1IaYIkumh/9ze7dDZJdX1ck0yQg7yOFhzajQ
Ox6c0/H3h9YOSPEvAlgJOdayIgeh4yKBlIv26y3V+DWPlSULol0y5gWV12nOq5le
gRhGcavLLmQ1H7VgQraOj7KbU8lHw1Wt9Vwwlz9ioH1fuGQsvzJj6wYtShn4BPaA
RyiB0Yl7LJ9ngbLsxpEzN7TlVnIfYQ5X8zzMl/LMKQKBgQDwQftd6qnOz7kRWkwf
A/wGlvGaKDSUXfAV17mUx/uO5PzPsXN/fmo+3dPZNBlMUf3I7C0oPkh5UuHhCx5D
UtrwGsWUppLryvIHO+qTkPk4v8qgZkb5TfsjGKpk12/rHNZOFnZF9lWkqT0zBmpN
tASxXrOa2jPrLp/SFP3Lj24O9wKBgQC6+NKO55+YMhwrqH8GOppg0+QRB+CizGRi
W5gMf668DEI4zMryBqwiMUNPMibJDetjuAOYaajR54+zND5k5eDP/V5mIWcsoFD3
6NKC2zTAqk56ceNaKBPzijGLwoe+FJkguYEgZdmggdCDfqEG51ivlzkruvu1SKl6
mfhXxCavxQKBgEdjQ55PSK9jt1i5nN6mX29R0G3+vkjLdLf4xnK3zT5TOe84idn7
JPSTEwx5135+6kqWKoDHqN8rymQE2rQkXVt0iPq3V/Zp8epGWlgIfpTnH/zzBumy
ywlNneuiu+V/Rwoi0HfPTvlDNCUCJfn6oF5XhkRfy4d47hINHLAsaQZXAoGBAKW/
w1lwOGkBszt4yfLJrOW9sebvJtLrguo27JnX7x1BeMtFsXvRMnO1XEgu23dM4amr
DXTl5gT+1MM2w0FLEHsRz8eWQRKspFrBiSz8Cs3prFyb7cKU2OsDTVzqfM+jDwSV
rsT7xWum6SRI85NdL5+p3cLIpi9VVPkc2a1kdC9JAoGBAOjx+0/6FRSavyewx9AG
+n0itY6+lw6x39y/rQsMK+/8LL0wI+14pK/2AVQrO4fdpwsa9YDwddV93RJEsA8U
lMXTp7YcnTSZquDkvg4FAxYk8swVcc2hNQGzF0/Re0AQbr0MIyIR6Eprv+6W8BN4
cdZ2aX6P3VpkHsLGS1t0I+39
-----END PRIVATE KEY-----
)";
inline constexpr std::string_view kRsaPublic = R"(-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr3l2Kf2ofv3OMAbrOOyr
zqf146D9PvN6iMxHAYJNmf1iyrd74bZ3xeWGnT+rvWbm3ggp7SM2FV7sKcqimtzv
Ufje5r5ss9QAlBo66FXuR/Y+NIHCUTiEs+5U4NV6r+lvC8cW7HRy23A555/MgVnV
nj5khhVJ1dbijW3Ah2VJz/Qmn5v9fCsovb2NfPF05B/7fvJqbumRSBtr0eTGr9jM
a6MzZUb0r2PXu1lQXEsdtt1DhHx4ulSTWXrk8tgCUpK7RkTO2G6l8jUiMT8AEZ2o
qAsvDX/JyoIZevBktLuXDbUgZsvaOKDUXRvmzUcPL/geizLNAdLuWx6OMmBt8JZd
EwIDAQAB
-----END PUBLIC KEY-----
)";
inline constexpr std::string_view kP256Private = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgxONTtrhgG4bup48p
Ny2MYalYWfi7PmcIEYqownWXPD2hRANCAAQqcUuYw811c/Zo8HOr2U/cfpBQf/pP
I9wHctJS30knent4cdsuRXIDB1Lg1e+6AVotZ/GpIMcvRNaNpEOsNwfw
-----END PRIVATE KEY-----
)";
inline constexpr std::string_view kP256Public = R"(-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKnFLmMPNdXP2aPBzq9lP3H6QUH/6
TyPcB3LSUt9JJ3p7eHHbLkVyAwdS4NXvugFaLWfxqSDHL0TWjaRDrDcH8A==
-----END PUBLIC KEY-----
)";
inline constexpr std::string_view kP384Private = R"(-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDC/aLJAxyzbm0hlX+/B
Qbm7ddQSRS2TbwgrFPQSFeGoaQdKWCp3NpcUSZJizUnyHGqhZANiAATQzvIcht7M
3NOq9TXnE3JEXnPi9fN0sI0swn3vlXPdUcgkg9Jv0JnNJCblNlbEuOR6uS/KTbK4
GhVPsqn3p1PoQqgcHWLhN82rqBAJjQ6vTtIKBUHj07Adk9qxCHO9pbM=
-----END PRIVATE KEY-----
)";
inline constexpr std::string_view kP384Public = R"(-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE0M7yHIbezNzTqvU15xNyRF5z4vXzdLCN
LMJ975Vz3VHIJIPSb9CZzSQm5TZWxLjkerkvyk2yuBoVT7Kp96dT6EKoHB1i4TfN
q6gQCY0Or07SCgVB49OwHZPasQhzvaWz
-----END PUBLIC KEY-----
)";
inline constexpr std::string_view kP521Private = R"(-----BEGIN PRIVATE KEY-----
MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBexFpCAKrpplLD+OR
Nexk/YbfAj7AfToZFlwhyOVyseW7FZaR3zFdymMcM4kT9xx8RHqKuJMqbjS03viz
pzyzALGhgYkDgYYABABOwNyjyjmMFLgWIrmW8jRFjB5S8XazF+guv0ay8GlMRja2
44ZrdAiv48DUi2rsQGzeLiu7aPuPYPJTScch/zdkYABK8jvz8MPxaCs6IWNgtTZ5
+kaEPIp+lIHnNYx9FT7DyVdsuA4bMzrwf2Z5rOcQtq8bS4Ai1OL8ew1LdH6GIHot
vg==
-----END PRIVATE KEY-----
)";
inline constexpr std::string_view kP521Public = R"(-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQATsDco8o5jBS4FiK5lvI0RYweUvF2
sxfoLr9GsvBpTEY2tuOGa3QIr+PA1Itq7EBs3i4ru2j7j2DyU0nHIf83ZGAASvI7
8/DD8WgrOiFjYLU2efpGhDyKfpSB5zWMfRU+w8lXbLgOGzM68H9meaznELavG0uA
ItTi/HsNS3R+hiB6Lb4=
-----END PUBLIC KEY-----
)";
inline constexpr std::string_view kEd25519Private = R"(-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
)";
inline constexpr std::string_view kEd25519Public = R"(-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
)";
inline constexpr std::string_view kSmallRsaPublic = R"(-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCndFxuTi/9hMXggz3K5AbQm+zK
s2eeeZx3YvsxnWBaSIQeNQkwbzOZhpet38thZPCf1ZZEUJgUc5rykR5ag9MZG47a
oK5V+ra8pBZDEzP/G9TPmmnV5O4Vzn6Dw9J5kXlshDRQZDpGmwpR0xaRMgYa/WK+
TjQ/xPZt4J51doyFFQIDAQAB
-----END PUBLIC KEY-----
)";

struct Signed {
  std::string_view algorithm, private_key, public_key, token;
};
inline constexpr Signed kTokens[] = {
    {"RS256", kRsaPrivate, kRsaPublic,
     "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjQwMDAwMDAwMDAsInN1YiI6IngifQ.hMFrAypqrOPNxLGFjyOk7fDxcRnOprYLH5JxBD7Q"
     "mRyBO9TYMi-wb-JltnhTw5UiGxhkAizCpcPjmlA-64j7Zs2Ev6Qi8wT0HSbdcDHWtpGFN-lOoZljlHHElH8tDfq2zpjTivk9LjOg"
     "FhHKp0F6Nl9Zn0SYNc7rMlYA_IAH12XZcHvLAO6MrCJLA-3_izbHEAZY27KX9L7xsCn1k7QnA4MVONHZMIJM2kxnQuRE6HdFsCwL"
     "-Rn609lX83NyEhIJ5DU-LNL_QKONuzWpw02axZp0m-HQq-BoUxAVuBc6DN40pL4kUI0pqe1nlVOk9WuE3e4oLhgVfZDKGEMSLUxB"
     "rg"},
    {"RS384", kRsaPrivate, kRsaPublic,
     "eyJhbGciOiJSUzM4NCJ9.eyJleHAiOjQwMDAwMDAwMDAsInN1YiI6IngifQ.cu6NqHlTiBFPfHA30rI8fZ1mb1HhNoNYBbT4fvP0"
     "TIhsB3usAggCLYuI_s29FIsBjmJG3NUDQeA_v9I5yVI4h7BubTThnWkX0JzGv3i4o1IALlFSopZjE-Bl-JoMvU5GWOS-MMDWXpuA"
     "z-n01BJoNqCSOn8rtiOgC_3GuZmmbkVOyNyWMmCyToOmF61DQ-OncDcVHfNUf0Nic9evxd5OfpHlN6uVhZWKIlHftcv4nkQS2UaL"
     "b_ynS4Hd72IJg2uNQqFE5XsWdzMnlXHeipoKEwrQvNEPTIe9sgErThMIWZ70gRwRzT3NYUYWKfXWZ2Y2YusjZrMgnfDWBsBfvIMw"
     "cw"},
    {"RS512", kRsaPrivate, kRsaPublic,
     "eyJhbGciOiJSUzUxMiJ9.eyJleHAiOjQwMDAwMDAwMDAsInN1YiI6IngifQ.CaClg8HRneHwRDj6UMsNuilMSbbu7lV7ocq7HDC_"
     "Qgslyyyo882n_wJ6wMjSUBquWSinPhL8Laz0ryE6VGQkwK6RRdn7OpCp09WEwCrZZpabfBRXh5rfxgwXtVXAmE7BDMU4alMd4tZr"
     "BG5n2fJHWLp4PMZt3ec6jCsd-ztZd07IyTmbqU4B2zY5vv8JWlQDejBEasnG8-QI0MeM4bfffZn31pfjFPPktvlORof_D1IgKZhc"
     "ca-R-bcbXjPb5wJ-A38RNVC7SfqQhSWXNeb5haKNlyDb7EWQ2yaktfd2w5r---klY9t_XjtTARLP1mUUm8aiWYkZ7LEsMoPureHx"
     "Og"},
    {"PS256", kRsaPrivate, kRsaPublic,
     "eyJhbGciOiJQUzI1NiJ9.eyJleHAiOjQwMDAwMDAwMDAsInN1YiI6IngifQ.eo8cS3SFnra8_1cI6HdSIx5PrZHnzp7cOfbFVz_i"
     "7K8L3czj0Xyf-EPgtFZTBn-ZbHnU-92G79HrzXLn53erRAGa8jhDeRMU-IzzupHO2nZuntiKxE_TIZQU-Aok3lwwvNUwFjQkmkcd"
     "OoU8VLzMkzNcK24CrQCwbuQIauXmLJYs1bCoQinjG2ZVuzfBDJ44fqZ3U5aX_tHAInecj34cPt9teLMyV-gOZbQ8YmM4ziM46Ye4"
     "noibmWyxYrn4_14Hha5blijaKtSOZGUH7_pLYig2ddZKNabfyq_Ilfn-UC1rfLdnUqzh5XFlxY1tIk3j-biWQ48Y0BQ4HZo8PsRZ"
     "VA"},
    {"PS384", kRsaPrivate, kRsaPublic,
     "eyJhbGciOiJQUzM4NCJ9.eyJleHAiOjQwMDAwMDAwMDAsInN1YiI6IngifQ.TErT8Bf8bjSVlmBpYr5BLGGU2Vt_bfmLsfusD0Jo"
     "ZAXO48SMu4OYqFcFoGnFOdIqmlnZAvG-TEIYjWZOQqft7a4h_dGjyqdVdhUo5wFg0SSK4jw02PeNKLJxjTG8RRwKjPKj8ThVXDt-"
     "5Stmp82kSVLkS4tmekuus81aol7TmQ0wZYWLkag87oSXxVyC4qKDK9-FQAV5p-cBXWuRk1JWr63ocN47eYEwupKM6AI56THNVJ8y"
     "-mnFBbDWz1D5XCARHGU67hy8SrBc4AYwWzF1lpaMd0v8d7IrnNR1xmIPULqhAt7Jn65KdyUbJSV5TRECiFIo0uCm6JJ4YNT2LGI2"
     "8Q"},
    {"PS512", kRsaPrivate, kRsaPublic,
     "eyJhbGciOiJQUzUxMiJ9.eyJleHAiOjQwMDAwMDAwMDAsInN1YiI6IngifQ.fcagPcqlesuF2lDd8SpeLvvXxvGAWfxBytu0CQrw"
     "uWMuoHAFkpLbI-XvUmIxiAcdjO41As-h1qPKmpdIPd0Nz4AuBAubvVdu-UE8NONCOYqI2iBn7v7uEShAm6_Q6DklmLWX8qrYlE2E"
     "KP1Aj0l7vJqbx4I9tDdYPeGP_pMF5ZEKGYJ-qpJhd9RdNXnEIEf8AXNvcu750Eps7PvxaL32bERu6DfEKd5WkNOENGgjd4TW07Ax"
     "0WPYo3lziry8fY5yRimYvcGT9oeiAd_E76jCZkeSJ9TKhuckwmL07YPdazEzQjwi7khs54LArRQUyKTJRzLJxt_0Sj1O_cN-pm7Y"
     "UA"},
    {"ES256", kP256Private, kP256Public,
     "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjQwMDAwMDAwMDAsInN1YiI6IngifQ.sSJElPf6CWV1p5PDP-oTHe5IN3AG98CfExneVO1o"
     "DzLNUKfU-LOXXg37NAu3o1xO_c8bT783TtDAz38-YiJhhQ"},
    {"ES384", kP384Private, kP384Public,
     "eyJhbGciOiJFUzM4NCJ9.eyJleHAiOjQwMDAwMDAwMDAsInN1YiI6IngifQ.7qrFqQalzMo0J6jfudYItq1jIQthKtQFh3Xd62IV"
     "ONZDdmfCnXv5iXAEaQAQ2JQtQ8Oct0f_UiiyE3iDoeFf26rTeil_oMXkyfeK9gJ2v-XIR8Ee2MDtH5RaRAbev9NL"},
    {"ES512", kP521Private, kP521Public,
     "eyJhbGciOiJFUzUxMiJ9.eyJleHAiOjQwMDAwMDAwMDAsInN1YiI6IngifQ.AUES1GPYY5un_eLuQWVfTeghZNYczEoN2H8U44mB"
     "jq90oHKUmtpu_m_-RUNx9mGK4LSnd1tLsyRXmVcJ3L0LTHAcAXwkX7cLAsZLKOp_jEoOI5KRTwMinI-tiztgH5yNTQ50A2DEul0H"
     "62LiJAbCK6WKb1xWX965oZwy-0NDi5dyaNJ-"},
    {"EdDSA", kEd25519Private, kEd25519Public,
     "eyJhbGciOiJFZERTQSJ9.eyJleHAiOjQwMDAwMDAwMDAsInN1YiI6IngifQ.lygIGtRORm_mA1qcFkFnyIqnq1B4wJoFS4RpvdAU"
     "kGpKJbtnuSh8Jkfv6vFoReg9WOFxavS0kuqi9nylFyiQAg"},
};

}  // namespace mg::auth::test_keys
