#include <cstdlib>
#include <cstring>

#include "rows.hpp"

namespace deeplab {

extern const Rows rows_baseline;
#ifdef DEEPLAB_HAS_avx2
extern const Rows rows_avx2;
#endif
#ifdef DEEPLAB_HAS_avx512
extern const Rows rows_avx512;
#endif

namespace {

struct Candidate {
  const Rows* rows;
  bool runs;
};

const Rows& choose() {
#if defined(DEEPLAB_HAS_avx2) && defined(DEEPLAB_HAS_avx512)
  __builtin_cpu_init();
  const Candidate candidates[] = {
      {&rows_avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")},
      {&rows_avx2, __builtin_cpu_supports("avx2") != 0},
      {&rows_baseline, true}};
#else
  const Candidate candidates[] = {{&rows_baseline, true}};
#endif
  const char* wanted = std::getenv("DEEPLAB_CRF_ISA");  // to test every set on one machine
  for (const auto& candidate : candidates)
    if (candidate.runs && wanted && std::strcmp(wanted, candidate.rows->name) == 0) return *candidate.rows;
  for (const auto& candidate : candidates)
    if (candidate.runs) return *candidate.rows;
  return rows_baseline;
}

}  // namespace

const Rows& select_rows() {
  static const Rows& rows = choose();
  return rows;
}

}  // namespace deeplab
