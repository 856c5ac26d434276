// What the processor can run, as it says itself: the compilers' own __builtin_cpu_supports needs a runtime library that
// not every linker brings along (clang-cl's), or that knows no processor (zig's).
#pragma once

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>

namespace deeplab {

constexpr unsigned kAvx2 = bit_AVX2;
constexpr unsigned kAvx512 = bit_AVX512F | bit_AVX512VL | bit_AVX512BW | bit_AVX512DQ;

// Parts of the state that the system must save when it switches tasks: the SSE and AVX registers; AVX-512's too.
constexpr unsigned kAvxState = 0x06, kAvx512State = 0xe6;

// Whether the processor has all `features` of CPUID leaf 7, and the system saves their `state`.
inline bool cpu_runs(unsigned features, unsigned state) {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return false;
  unsigned saved, high;
  __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
  return (saved & state) == state && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & features) == features;
}

}  // namespace deeplab
#endif
