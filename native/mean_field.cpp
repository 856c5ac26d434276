#include "mean_field.hpp"

#include <algorithm>

namespace deeplab {

namespace {

// A padding channel's unary energy: high enough that its belief is always zero.
constexpr float kNever = 1e30f;

// Rows that the slices of all kernels and the softmax pass over while they are in the first-level cache.
constexpr size_t kCachedPoints = 128;

}  // namespace

MeanField::MeanField(const float* unary, size_t labels, std::vector<PottsKernel> kernels, size_t points, Team& team)
    : points_(points),
      blocks_(labels - 1),
      logit_(blocks_.blocks * points * blocks_.width),
      last_logit_(points),
      belief_(blocks_.blocks * points * blocks_.width),
      last_belief_(points) {
  const size_t block = points * blocks_.width;
  team.each(points, kPointGrain, [&](size_t begin, size_t end) {
    for (size_t b = 0; b < blocks_.blocks; ++b) {
      gather_rows(unary, blocks_, b, points, kNever, logit_.data() + b * block, begin, end);
      for (size_t i = b * block + begin * blocks_.width; i < b * block + end * blocks_.width; ++i) {
        logit_[i] = -logit_[i];
        belief_[i] = 0;
      }
    }
    for (size_t i = begin; i < end; ++i) last_logit_[i] = -unary[(labels - 1) * points + i];
    softmax(begin, end);
  });
  for (const PottsKernel& kernel : kernels) {
    kernels_.push_back(fold(kernel, team));
    for (size_t i = 0; i < points; ++i) last_logit_[i] += kernel.weight * kernel.total[i];
  }
}

// Folds the normalisation into the weights.
MeanField::Kernel MeanField::fold(const PottsKernel& kernel, Team& team) const {
  const Lattice& lattice = *kernel.lattice;
  const float factor = kernel.weight * lattice.slice_scale();
  Kernel folded;
  folded.lattice = kernel.lattice;
  folded.vertices = Buffer<float>(lattice.vertices() * blocks_.width);
  folded.slice_scale = Buffer<float>(points_);
  for (size_t i = 0; i < points_; ++i) folded.slice_scale[i] = kernel.after.empty() ? factor : factor * kernel.after[i];
  if (!kernel.before.empty()) {
    const Buffer<float>& weight = lattice.splat_weight();
    folded.folded_weight = Buffer<float>(weight.size());
    team.each(weight.size(), kPointGrain, [&](size_t begin, size_t end) {
      for (size_t e = begin; e < end; ++e) folded.folded_weight[e] = weight[e] * kernel.before[lattice.splat_point()[e]];
    });
  }
  return folded;
}

void MeanField::step(Team& team) {
  const size_t block = points_ * blocks_.width;
  for (size_t b = 0; b < blocks_.blocks; ++b) {
    float* rows = belief_.data() + b * block;
    for (const Kernel& kernel : kernels_) {
      kernel.lattice->splat(rows, kernel.splat_weight(), kernel.vertices.data(), blocks_.index, team);
      kernel.lattice->blur(kernel.vertices.data(), blocks_.index, false, team);
    }
    // This block of beliefs has been splatted, so the messages can take its place.
    team.each(points_, kCachedPoints, [&](size_t begin, size_t end) {
      if (kernels_.empty()) std::fill(rows + begin * blocks_.width, rows + end * blocks_.width, 0.0f);
      for (const Kernel& kernel : kernels_)
        kernel.lattice->slice(kernel.vertices.data(), kernel.slice_scale.data(), rows, &kernel != &kernels_.front(),
                              blocks_.index, begin, end);
      if (b + 1 == blocks_.blocks) softmax(begin, end);
    });
  }
}

void MeanField::softmax(size_t begin, size_t end) {
  select_rows().softmax[blocks_.index](logit_.data(), belief_.data(), blocks_.blocks, points_ * blocks_.width,
                                       last_logit_.data(), last_belief_.data(), begin, end);
}

void MeanField::belief(float* out, Team& team) const {
  const size_t block = points_ * blocks_.width;
  team.each(points_, kPointGrain, [&](size_t begin, size_t end) {
    for (size_t b = 0; b < blocks_.blocks; ++b)
      scatter_rows(belief_.data() + b * block, blocks_, b, points_, out, begin, end);
    std::copy(last_belief_.data() + begin, last_belief_.data() + end, out + blocks_.channels * points_ + begin);
  });
}

}  // namespace deeplab
