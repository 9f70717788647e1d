// utils/formula/elementary.h -- sine, cosine, tangent and cube root, the same to the bit on every machine.
//
//   sine(1.0); cube_root(27.0) == 3;
//
// C libraries differ in the last bits, by version and by machine; these do only what doubles define. Bit for bit the
// values of the Go original on amd64. Errors: sine of an infinity is NaN. Cost: 5-20 ns.
// Source: S. L. Moshier, Cephes 2.3 (sin, cos, tan); M. Payne, R. Hanek, "Radian reduction for trigonometric
// functions", 1983 (from 2^29); FreeBSD msun s_cbrt.c.
#pragma once

namespace mg::formula::detail {

double sine(double x);
double cosine(double x);
double tangent(double x);
double cube_root(double x);

}  // namespace mg::formula::detail
