// Picks the instruction set when the module loads.
#include <cstdlib>
#include <cstring>

#include "cpu.hpp"
#include "loops.hpp"

namespace deeplab {

#define DEEPLAB_DECLARE(isa)                     \
  extern const LatticeLoops lattice_loops_##isa; \
  extern const TableLoops table_loops_##isa;     \
  extern const BeliefLoops belief_loops_##isa;   \
  extern const Embed embed_##isa[kEmbedCount];
#define DEEPLAB_LOOPS(isa) {#isa, lattice_loops_##isa, table_loops_##isa, belief_loops_##isa, embed_##isa}

DEEPLAB_DECLARE(baseline)
#ifdef DEEPLAB_HAS_avx2
DEEPLAB_DECLARE(avx2)
DEEPLAB_DECLARE(avx512)
#endif

namespace {

struct Candidate {
  bool runs;
  Loops loops;
};

const Loops& choose() {
#ifdef DEEPLAB_HAS_avx2
  static const Candidate candidates[] = {{cpu_runs(kAvx2 | kAvx512, kAvx512State), DEEPLAB_LOOPS(avx512)},
                                         {cpu_runs(kAvx2, kAvxState), DEEPLAB_LOOPS(avx2)},
                                         {true, DEEPLAB_LOOPS(baseline)}};
#else
  static const Candidate candidates[] = {{true, DEEPLAB_LOOPS(baseline)}};
#endif
  const char* wanted = std::getenv("DEEPLAB_CRF_ISA");  // to test every set on one machine
  const Candidate* fastest = nullptr;
  for (const Candidate& candidate : candidates) {
    if (!candidate.runs) continue;
    if (wanted && std::strcmp(wanted, candidate.loops.instruction_set) == 0) return candidate.loops;
    if (!fastest) fastest = &candidate;
  }
  return fastest->loops;
}

}  // namespace

const Loops& loops() {
  static const Loops& chosen = choose();
  return chosen;
}

}  // namespace deeplab
