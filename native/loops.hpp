// The hot loops, on rows of `width` floats: one row per point or per lattice vertex.
//
// The loops_*.cpp are compiled once per instruction set; loops() is the set picked when the module loads. All sets give
// the same bits: the order of every sum is fixed and no multiply-add is fused.
#pragma once

#include <cstddef>
#include <cstdint>

#include "embed.hpp"

namespace deeplab {

// Channels of one row. Wider tables of channels are cut into blocks of at most kMaxWidth.
constexpr int kWidths[] = {1, 2, 4, 8, 12, 16, 20, 24, 28, 32};
constexpr int kWidthCount = sizeof(kWidths) / sizeof(kWidths[0]);
constexpr int kMaxWidth = kWidths[kWidthCount - 1];

// Where points lie among the vertices of a lattice, in tables of (points, count).
struct Corners {
  size_t count;
  const int32_t* vertex;  // around each point, one of every colour
  const float* weight;    // barycentric
};

// Vertices are numbered by the first group of points that they lie around.
constexpr size_t kGroupedPoints = 1024;

// The vertices that are numbered by some groups of points, and the corners at them of all later points, in order, each
// as point * corners.count + corner.
struct SplatPart {
  size_t first_group, last_group;
  const int32_t* later;
  size_t later_count;
};

// vertices[v] = sum of weight * before[i] * points[i] over the points i around v, in their order, for all v of `part`;
// without `before`, that counts as one. first_vertex[group] is the first vertex of a group; behind the last group comes
// the number of vertices.
using Splat = void (*)(const Corners& corners, const int32_t* first_vertex, const SplatPart& part, const float* before,
                       const float* points, float* vertices, size_t point_count);

// Along each chain that starts in order[begin, end): v += (previous + next) / 2, in place.
// `order` lists the vertices of the chains one after the other, the first of each chain as ~vertex.
using Blur = void (*)(const int32_t* order, size_t size, float* vertices, size_t begin, size_t end);

// points[i] = (add ? points[i] : 0) + factor * after[i] * sum of weight * vertices over the corners of i; without
// `after`, that counts as one.
using Slice = void (*)(const Corners& corners, float factor, const float* after, const float* vertices, float* points,
                       bool add, size_t begin, size_t end);

// out[i] = scale[i] * in[i], for count points; in place is fine.
using Scale = void (*)(const float* in, const float* scale, float* out, size_t count);

// What softmax needs of the label that is no channel: `logit` plus `fraction` of what the messages of all channels
// leave of `total` (null: zeros) is its logit, and `belief` takes its belief.
struct LastLabel {
  float* logit;
  float* total;
  float* belief;
  float fraction;
};

// belief = softmax(logit + message), for points [begin, end). A point's logits and messages are `blocks` rows that lie
// `stride` floats apart; its beliefs take the messages' place. What is below exp(-60) of the largest belief becomes
// zero, so that no denormal number enters the filter.
using Softmax = void (*)(const float* logits, float* messages, size_t blocks, size_t stride, const LastLabel& last,
                         size_t begin, size_t end);

// largest[c] = max(largest[c], rows[i][c]) for points [begin, end).
using Largest = void (*)(const float* rows, float* largest, size_t begin, size_t end);

// out[i] += matrix * in[i], for count points; matrix[c * width + r] is what channel c of `in` adds to channel r of
// `out`.
using Multiply = void (*)(const float* matrix, const float* in, float* out, size_t count);

// out[f] = sum of weight[k] * rows[k][f] over k < count, for f < floats.
using Combine = void (*)(const float* const* rows, const float* weight, size_t count, float* out, size_t floats);

// values[f] = log(max(values[f], smallest normal float)), for f < floats.
using Log = void (*)(float* values, size_t floats);

// values[f] = log(exp(values[f]) + exp(others[f])), for f < floats.
using LogAdd = void (*)(float* values, const float* others, size_t floats);

// values[f] = belief[f] * exp(values[f] - logits[f]), where that is at most belief[f], for f < floats.
using Unpool = void (*)(float* values, const float* logits, const float* belief, size_t floats);

// Each by index in kWidths, but where the width does not matter.
struct LatticeLoops {
  Splat splat[kWidthCount];
  Blur blur[kWidthCount];
  Slice slice[kWidthCount];
};
struct TableLoops {
  Scale scale[kWidthCount];
  Largest largest[kWidthCount];
  Multiply multiply[kWidthCount];
  Combine combine;
};
struct BeliefLoops {
  Softmax softmax[kWidthCount];
  Log log;
  LogAdd log_add;
  Unpool unpool;
};

struct Loops {
  const char* instruction_set;
  const LatticeLoops& lattice;
  const TableLoops& table;
  const BeliefLoops& belief;
  const Embed* embed;  // kEmbedCount of them
};

const Loops& loops();

}  // namespace deeplab
