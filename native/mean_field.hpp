// Mean field inference with Potts kernels, all steps of an iteration fused.
// Krähenbühl & Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", 2011, algorithm 1.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "lattice.hpp"

namespace deeplab {

struct PottsKernel {
  std::shared_ptr<const Lattice> lattice;
  float weight;
  std::vector<float> before, after;  // normalisation of each point before and after the filter; empty: one
  std::vector<float> total;          // what the kernel makes of a belief of one everywhere, without the weight
};

class MeanField {
 public:
  // unary: (labels, points). Starts from softmax(-unary).
  MeanField(const float* unary, size_t labels, std::vector<PottsKernel> kernels, size_t points, Team& team);

  void step(Team& team);
  void belief(float* out, Team& team) const;  // (labels, points)

  size_t labels() const { return blocks_.channels + 1; }
  size_t points() const { return points_; }

  std::mutex mutex;  // for callers from several threads

 private:
  struct Kernel {
    std::shared_ptr<const Lattice> lattice;
    Buffer<float> folded_weight;  // for splatting, with the normalisation before the filter; empty: the lattice's own
    Buffer<float> slice_scale;    // per point: weight, the lattice's scale and the normalisation after the filter
    Buffer<float> vertices;       // rows of one block
    const float* splat_weight() const { return (folded_weight.size() ? folded_weight : lattice->splat_weight()).data(); }
  };
  Kernel fold(const PottsKernel& kernel, Team& team) const;
  void softmax(size_t begin, size_t end);

  size_t points_;
  // Beliefs sum to one and the filter is linear, so the last label needs no filtering: its message is the constant
  // message of all labels minus the others'. The first labels - 1 are rows, the last is kept apart.
  Blocks blocks_;
  Buffer<float> logit_, last_logit_;    // -unary; the last with the message of all labels added
  Buffer<float> belief_, last_belief_;  // rows, block after block; one per point
  std::vector<Kernel> kernels_;
};

}  // namespace deeplab
