#include "mean_field.hpp"

#include <algorithm>
#include <numeric>

namespace deeplab {

namespace {

// A padding channel's logit: low enough that its belief is always zero.
constexpr float kNever = -1e30f;

// Rows that the slices of all kernels and the softmax pass over while they are in the first-level cache.
constexpr size_t kCachedPoints = 128;

}  // namespace

void Pairwise::add_total(float factor, float* out, Team& team) const {
  if (grid) return grid->add_total(factor, out);
  if (after && !before) {
    for (size_t i = 0; i < lattice->points(); ++i) out[i] += factor;
    return;
  }
  lattice->add_total(factor, before.get(), after.get(), out, team);
}

MeanField::MeanField(const Unary& unary, std::vector<std::shared_ptr<const Pairwise>> kernels,
                     std::vector<size_t> fixed, float negligible, Team& team)
    : unary_(unary),
      fixed_(std::move(fixed)),
      negligible_(negligible),
      mixes_(std::any_of(kernels.begin(), kernels.end(), [](const auto& kernel) { return !kernel->matrix.empty(); })),
      blocks_(unary.labels - 1) {
  for (auto& kernel : kernels) {
    const float weight = mixes_ ? 1.0f : kernel->weight;
    terms_.push_back({std::move(kernel), weight, {}, {}});
  }
  Buffer<float> potts_total;  // before the tables, which need the memory that this takes meanwhile
  if (!mixes_) potts_total = total(0, terms_.size(), team);
  last_logit_ = Buffer<float>(unary.points);
  last_belief_ = Buffer<float>(unary.points);
  choose_labels(team);
  load_logits(team);
  belief_ = Buffer<float>(blocks_.blocks * block_size());
  largest_.assign(blocks_.padded() + 1, 0.0f);
  team.each(unary.points, kCachedPoints, [&](size_t begin, size_t end) {
    for (size_t b = 0; b < blocks_.blocks; ++b)
      std::fill(belief_.data() + b * block_size() + begin * blocks_.width,
                belief_.data() + b * block_size() + end * blocks_.width, 0.0f);
    softmax(belief_.data(), begin, end);
  });
  if (mixes_) {
    mix_labels(team);
    message_ = Buffer<float>(belief_.size());
  } else if (prunes()) {
    last_total_ = std::move(potts_total);
  } else {
    for (size_t i = 0; i < unary.points; ++i) last_logit_[i] += potts_total[i];  // the last label is alone
  }
}

// Probabilities tell without a softmax which labels are negligible from the start; else all are in the contest.
void MeanField::choose_labels(Team& team) {
  const size_t points = unary_.points, last = unary_.labels - 1, width = size_t(kMaxWidth);
  std::vector<float> largest(unary_.labels, negligible_);
  if (prunes() && unary_.probabilities)
    team.each(unary_.labels, 1, [&](size_t l, size_t) {
      const float* plane = unary_.values + l * points;
      float lanes[kMaxWidth] = {};
      loops().table.largest[kWidthCount - 1](plane, lanes, 0, points / width);
      for (size_t i = points / width * width; i < points; ++i) lanes[0] = std::max(lanes[0], plane[i]);
      largest[l] = *std::max_element(lanes, lanes + kMaxWidth);
    });
  for (size_t l = 0; l < last; ++l) (largest[l] >= negligible_ ? channel_label_ : last_labels_).push_back(l);
  const bool pools = Blocks(channel_label_.size() + 1).padded() < Blocks(last).padded();
  if (!pools || channel_label_.empty()) {
    channel_label_.resize(last);
    std::iota(channel_label_.begin(), channel_label_.end(), size_t(0));
    last_labels_.clear();
  } else if (largest[last] >= negligible_) {
    channel_label_.push_back(last);
    blocks_ = Blocks(channel_label_.size());
    return;
  }
  last_labels_.push_back(last);
  blocks_ = Blocks(channel_label_.size());
}

void MeanField::logits_of(size_t label, size_t begin, size_t end, float* logits) const {
  const float* plane = unary_.values + label * unary_.points;
  std::copy(plane + begin, plane + end, logits);
  if (unary_.probabilities)
    loops().belief.log(logits, end - begin);
  else
    for (size_t i = 0; i < end - begin; ++i) logits[i] = -logits[i];
}

// The logit of all the last labels together: the log of the sum of what each is before the softmax.
void MeanField::pooled_logits(size_t begin, size_t end) {
  float* pooled = last_logit_.data() + begin;
  const size_t first = last_labels_.front(), count = end - begin;
  if (!unary_.probabilities) {
    logits_of(first, begin, end, pooled);
    float others[kCachedPoints];
    for (size_t k = 1; k < last_labels_.size(); ++k) {
      logits_of(last_labels_[k], begin, end, others);
      loops().belief.log_add(pooled, others, count);
    }
    return;
  }
  std::fill(pooled, pooled + count, 0.0f);
  for (size_t label : last_labels_) {
    const float* plane = unary_.values + label * unary_.points + begin;
    for (size_t i = 0; i < count; ++i) pooled[i] += plane[i];
  }
  loops().belief.log(pooled, count);
}

void MeanField::load_logits(Team& team) {
  logit_ = Buffer<float>();  // two at a time would be the most memory ever needed
  logit_ = Buffer<float>(blocks_.blocks * block_size());
  std::vector<const float*> planes(blocks_.padded());
  for (size_t c = 0; c < channel_label_.size(); ++c) planes[c] = unary_.values + channel_label_[c] * unary_.points;
  team.each(unary_.points, kCachedPoints, [&](size_t begin, size_t end) {
    for (size_t b = 0; b < blocks_.blocks; ++b) {
      float* rows = logit_.data() + b * block_size();
      gather_rows(planes.data(), blocks_, b, 0.0f, rows, begin, end);
      if (unary_.probabilities)
        loops().belief.log(rows + begin * blocks_.width, (end - begin) * blocks_.width);
      else
        for (size_t f = begin * blocks_.width; f < end * blocks_.width; ++f) rows[f] = -rows[f];
      for (size_t c = 0; c < blocks_.width; ++c)
        if (!planes[b * blocks_.width + c])
          for (size_t i = begin; i < end; ++i) rows[i * blocks_.width + c] = kNever;
    }
    pooled_logits(begin, end);
  });
}

// What some of the terms tell each point where the belief in a label is one everywhere.
Buffer<float> MeanField::total(size_t first_term, size_t last_term, Team& team) const {
  Buffer<float> sums(unary_.points);
  std::fill(sums.data(), sums.data() + sums.size(), 0.0f);
  for (size_t t = first_term; t < last_term; ++t) terms_[t].kernel->add_total(terms_[t].weight, sums.data(), team);
  for (size_t i : fixed_) sums[i] = 0.0f;
  return sums;
}

// Makes the kernels' matrices ready. A constant added to a point's messages to all labels changes nothing, so each
// column (what one label says to all) can be made to sum to zero; then the message to the last label is minus the sum
// of the others. And what the last label says is the total less what the others say.
void MeanField::mix_labels(Team& team) {
  const size_t labels = unary_.labels, last = labels - 1, width = blocks_.width;
  for (size_t t = 0; t < terms_.size(); ++t) {
    Term& term = terms_[t];
    const Pairwise& kernel = *term.kernel;
    std::vector<float> to(labels * labels);  // [l * labels + k]: what the belief in k does to the logit of l
    for (size_t l = 0; l < labels; ++l)
      for (size_t k = 0; k < labels; ++k)
        to[l * labels + k] = kernel.weight * (kernel.matrix.empty() ? float(l == k) : -kernel.matrix[l * labels + k]);
    for (size_t k = 0; k < labels; ++k) {
      double mean = 0;
      for (size_t l = 0; l < labels; ++l) mean += double(to[l * labels + k]) / double(labels);
      for (size_t l = 0; l < labels; ++l) to[l * labels + k] -= float(mean);
    }
    term.multiplier.assign(blocks_.padded() * blocks_.padded(), 0.0f);
    for (size_t l = 0; l < last; ++l)
      for (size_t k = 0; k < last; ++k)
        term.multiplier[((k / width * blocks_.blocks + l / width) * width + k % width) * width + l % width] =
            to[l * labels + k] - to[l * labels + last];
    const Buffer<float> sums = total(t, t + 1, team);
    for (size_t i = 0; i < unary_.points; ++i) {
      for (size_t l = 0; l < last; ++l)
        logit_[l / width * block_size() + i * width + l % width] += to[l * labels + last] * sums[i];
      last_logit_[i] += to[last * labels + last] * sums[i];
    }
  }
}

// Fixed points hear nothing, so that their beliefs are those of their own logits.
void MeanField::silence(float* messages, size_t begin, size_t end) const {
  const auto first = std::lower_bound(fixed_.begin(), fixed_.end(), begin);
  for (auto point = first; point != fixed_.end() && *point < end; ++point)
    for (size_t b = 0; b < blocks_.blocks; ++b)
      std::fill_n(messages + b * block_size() + *point * blocks_.width, blocks_.width, 0.0f);
}

void MeanField::softmax(float* messages, size_t begin, size_t end) {
  silence(messages, begin, end);
  const LastLabel last{last_logit_.data(), last_total_.data(), last_belief_.data(), 1.0f / float(last_labels_.size())};
  loops().belief.softmax[blocks_.index](logit_.data(), messages, blocks_.blocks, block_size(), last, begin, end);
  if (!prunes()) return;
  std::vector<float> largest(blocks_.padded() + 1);
  for (size_t b = 0; b < blocks_.blocks; ++b)
    loops().table.largest[blocks_.index](messages + b * block_size(), largest.data() + b * blocks_.width, begin, end);
  largest.back() = *std::max_element(last_belief_.data() + begin, last_belief_.data() + end);
  const std::lock_guard<std::mutex> lock(largest_mutex_);
  for (size_t c = 0; c < largest.size(); ++c) largest_[c] = std::max(largest_[c], largest[c]);
}

void MeanField::prune(Team& team) {
  if (!prunes() || blocks_.blocks == 0) return;
  std::vector<size_t> channels;
  for (size_t c = 0; c < blocks_.channels; ++c)
    if (largest_[c] >= negligible_) channels.push_back(c);
  const bool last = last_labels_.size() == 1 && largest_.back() >= negligible_;
  const size_t kept = channels.size() + last;
  // What saves no vector stays: it costs nothing.
  if (kept > 0 && Blocks(kept).padded() < blocks_.padded()) keep(channels, last, team);
}

// Narrows the tables to some channels, and to the last label as one more of them if `last`. The others are pooled.
void MeanField::keep(const std::vector<size_t>& channels, bool last, Team& team) {
  const Blocks old = blocks_;
  const size_t old_size = block_size();
  std::vector<const float*> column;  // of each kept channel
  std::vector<size_t> labels, pooled = last ? std::vector<size_t>() : last_labels_;
  for (size_t c : channels) {
    labels.push_back(channel_label_[c]);
    column.push_back(belief_.data() + c / old.width * old_size + c % old.width);
  }
  for (size_t c = 0; c < old.channels; ++c)
    if (!std::binary_search(channels.begin(), channels.end(), c)) pooled.push_back(channel_label_[c]);
  if (last) labels.push_back(last_labels_.front());

  for (Term& term : terms_) term.table = Buffer<float>();
  blocks_ = Blocks(labels.size());
  Buffer<float> belief(blocks_.blocks * block_size());
  team.each(unary_.points, kPointGrain, [&](size_t begin, size_t end) {
    for (size_t b = 0; b < blocks_.blocks; ++b)
      for (size_t i = begin; i < end; ++i)
        for (size_t c = b * blocks_.width; c < (b + 1) * blocks_.width; ++c) {
          const float value = c < column.size() ? column[c][i * old.width] : c < labels.size() ? last_belief_[i] : 0.0f;
          belief[b * block_size() + i * blocks_.width + c - b * blocks_.width] = value;
        }
  });
  belief_ = std::move(belief);
  channel_label_ = std::move(labels);
  last_labels_ = std::move(pooled);
  load_logits(team);
}

// Sends the beliefs of one block through every kernel, but for the sums along rows and the slices.
void MeanField::filter_block(size_t b, Team& team) {
  float* rows = belief_.data() + b * block_size();
  const auto last_grid =
      std::find_if(terms_.rbegin(), terms_.rend(), [](const Term& term) { return bool(term.kernel->grid); });
  for (Term& term : terms_) {
    const bool uses_up = last_grid != terms_.rend() && &term == &*last_grid;
    const size_t size = (term.kernel->lattice ? term.kernel->lattice->vertices() : unary_.points) * blocks_.width;
    if (!uses_up && term.table.size() != size) term.table = Buffer<float>(size);
    if (term.kernel->lattice) {
      term.kernel->lattice->splat(rows, term.kernel->before.get(), term.table.data(), blocks_.index, team);
      term.kernel->lattice->blur(term.table.data(), blocks_.index, false, team);
    } else if (!uses_up) {
      std::copy(rows, rows + block_size(), term.table.data());
      term.kernel->grid->along_columns(term.table.data(), term.weight, blocks_, team);
    }
  }
  // Everyone has heard these beliefs, so that the last grid may sum them in place.
  if (last_grid != terms_.rend()) last_grid->kernel->grid->along_columns(rows, last_grid->weight, blocks_, team);
}

// out = (add ? out : 0) + what one kernel tells the points [begin, end), in rows that start at `begin`.
void MeanField::filtered(const Term& term, const float* rows, float* out, bool add, size_t begin, size_t end) const {
  const size_t width = blocks_.width;
  if (term.kernel->lattice) {
    term.kernel->lattice->slice(term.table.data(), term.weight, term.kernel->after.get(), out - begin * width, add,
                                blocks_.index, begin, end);
    return;
  }
  const float* summed = (term.table.size() ? term.table.data() : rows) + begin * width;
  if (!add) return term.kernel->grid->along_row(summed, out, blocks_);
  const Buffer<float> sums((end - begin) * width);
  term.kernel->grid->along_row(summed, sums.data(), blocks_);
  for (size_t f = 0; f < sums.size(); ++f) out[f] += sums[f];
}

// Adds up what all kernels tell the points [begin, end) of one block. The messages take the place of the beliefs, or of
// the sums that the last grid put there: that one comes first.
void MeanField::hear_potts(size_t b, size_t begin, size_t end) {
  const float* rows = belief_.data() + b * block_size();
  float* heard = belief_.data() + b * block_size() + begin * blocks_.width;
  bool add = false;
  const auto hear = [&](const Term& term) {
    filtered(term, rows, heard, add, begin, end);
    add = true;
  };
  for (auto term = terms_.rbegin(); term != terms_.rend(); ++term)
    if (term->kernel->grid) hear(*term);
  for (const Term& term : terms_)
    if (term.kernel->lattice) hear(term);
  if (!add) std::fill_n(heard, (end - begin) * blocks_.width, 0.0f);
}

// Adds to the messages of all blocks what the kernels' matrices make of one block at the points [begin, end).
void MeanField::hear_matrices(size_t b, size_t begin, size_t end) {
  const size_t width = blocks_.width, floats = (end - begin) * width;
  const float* rows = belief_.data() + b * block_size();
  const auto messages = [&](size_t other) { return message_.data() + other * block_size() + begin * width; };
  const Buffer<float> heard(floats);
  for (size_t other = 0; b == 0 && other < blocks_.blocks; ++other) std::fill_n(messages(other), floats, 0.0f);
  for (const Term& term : terms_) {
    filtered(term, rows, heard.data(), false, begin, end);
    for (size_t other = 0; other < blocks_.blocks; ++other)
      loops().table.multiply[blocks_.index](term.multiplier.data() + (b * blocks_.blocks + other) * width * width,
                                            heard.data(), messages(other), end - begin);
  }
}

void MeanField::step(Team& team) {
  prune(team);
  const Buffer<float>& heard = mixes_ ? message_ : belief_;
  largest_.assign(blocks_.padded() + 1, 0.0f);
  size_t grain = kCachedPoints;
  for (const Term& term : terms_)
    if (term.kernel->grid) grain = term.kernel->grid->width();
  for (size_t b = 0; b < blocks_.blocks; ++b) {
    filter_block(b, team);
    team.each(unary_.points, grain, [&](size_t begin, size_t end) {
      mixes_ ? hear_matrices(b, begin, end) : hear_potts(b, begin, end);
      if (b + 1 == blocks_.blocks) softmax(heard.data(), begin, end);
    });
  }
  if (mixes_) std::swap(belief_, message_);
}

void MeanField::release() {
  logit_ = Buffer<float>();
  message_ = Buffer<float>();
  terms_.clear();
  released_ = true;
}

void MeanField::belief(float* out, Team& team) const {
  std::vector<float*> planes;
  for (size_t label : channel_label_) planes.push_back(out + label * unary_.points);
  team.each(unary_.points, kPointGrain, [&](size_t begin, size_t end) {
    for (size_t b = 0; b < blocks_.blocks; ++b)
      scatter_rows(belief_.data() + b * block_size(), blocks_, b, planes.data(), begin, end);
    if (last_labels_.size() == 1) {
      std::copy(last_belief_.data() + begin, last_belief_.data() + end,
                out + last_labels_.front() * unary_.points + begin);
      return;
    }
    // Those of the pool have of its belief what they would have without neighbours.
    for (size_t label : last_labels_) {
      float* plane = out + label * unary_.points + begin;
      logits_of(label, begin, end, plane);
      loops().belief.unpool(plane, last_logit_.data() + begin, last_belief_.data() + begin, end - begin);
    }
  });
}

}  // namespace deeplab
