// Mean field inference, all steps of an iteration fused.
// Krähenbühl & Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", 2011, algorithm 1.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "grid.hpp"
#include "lattice.hpp"

namespace deeplab {

// One kernel: a lattice, with a normalisation of each point before and after its filter (null: one), or a grid.
struct Pairwise {
  std::shared_ptr<const Lattice> lattice;
  std::shared_ptr<const Grid> grid;
  std::shared_ptr<const float> before, after;  // `after` alone is one over K·1
  float weight;
  std::vector<float> matrix;  // (labels, labels), the cost of two labels side by side; empty: the Potts model

  // out[point] += factor * what the kernel makes of a belief of one everywhere, without the weight.
  void add_total(float factor, float* out, Team& team) const;
};

// Where the unary comes from: (labels, points) energies, or probabilities whose -log they are. Read again at times, so
// it must stay as long as the mean field does.
struct Unary {
  const float* values;
  bool probabilities;
  size_t labels, points;
};

class MeanField {
 public:
  // Starts from softmax(-unary). A label whose belief is below `negligible` at every point leaves the contest: it is
  // pooled with the others that did, and hears only its part of what the pool says to itself. The points `fixed`, in
  // ascending order, speak and do not hear: their beliefs stay what they start from.
  MeanField(const Unary& unary, std::vector<std::shared_ptr<const Pairwise>> kernels, std::vector<size_t> fixed,
            float negligible, Team& team);

  void step(Team& team);
  void belief(float* out, Team& team) const;  // (labels, points)
  void release();                             // frees what only step() needs

  bool released() const { return released_; }
  const Unary& unary() const { return unary_; }
  size_t contested() const { return blocks_.channels + (last_labels_.size() == 1); }

  std::mutex mutex;  // for callers from several threads

 private:
  struct Term {
    std::shared_ptr<const Pairwise> kernel;
    float weight;                   // the kernel's, or one where its matrix holds it already
    Buffer<float> table;            // a lattice's vertices; a grid's copy of the beliefs where it may not use them up
    std::vector<float> multiplier;  // Multiply's matrix for each pair of blocks; empty: the Potts model throughout
  };

  size_t block_size() const { return unary_.points * blocks_.width; }
  bool prunes() const { return negligible_ > 0 && !mixes_; }
  void choose_labels(Team& team);
  void pooled_logits(size_t begin, size_t end);
  void load_logits(Team& team);
  void logits_of(size_t label, size_t begin, size_t end, float* logits) const;
  void silence(float* messages, size_t begin, size_t end) const;
  void softmax(float* messages, size_t begin, size_t end);
  void prune(Team& team);
  void keep(const std::vector<size_t>& channels, bool last, Team& team);
  void filter_block(size_t b, Team& team);
  void hear_potts(size_t b, size_t begin, size_t end);
  void hear_matrices(size_t b, size_t begin, size_t end);
  void filtered(const Term& term, const float* rows, float* out, bool add, size_t begin, size_t end) const;
  Buffer<float> total(size_t first_term, size_t last_term, Team& team) const;
  void mix_labels(Team& team);

  Unary unary_;
  std::vector<Term> terms_;
  std::vector<size_t> fixed_;
  float negligible_;
  bool mixes_;  // whether any kernel has a matrix
  bool released_ = false;

  // Beliefs sum to one and the filter is linear, so one label needs no filtering: its message is what the messages of
  // all others leave of their total. That is the last label, or the pool of those that left the contest.
  Blocks blocks_;
  std::vector<size_t> channel_label_, last_labels_;
  Buffer<float> logit_, belief_, message_;  // rows, block after block; messages apart only where kernels have matrices
  // Where no label leaves the contest, what the total adds is in the last logit, and the total itself gone.
  Buffer<float> last_logit_, last_total_, last_belief_;
  std::vector<float> largest_;  // belief of each channel, and at the end of the last label, at any point
  std::mutex largest_mutex_;
};

}  // namespace deeplab
