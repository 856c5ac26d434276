// The hot loops of mean field. Each works on rows of `width` floats, one row per point or per lattice vertex.
//
// rows.cpp is compiled once per instruction set; select_rows() picks one set of loops when the module loads.
// All sets give the same bits: the order of every sum is fixed and no multiply-add is fused.
#pragma once

#include <cstddef>
#include <cstdint>

namespace deeplab {

// Channels of one row. Wider tables of channels are cut into blocks of at most kMaxWidth.
constexpr int kWidths[] = {1, 2, 4, 8, 12, 16, 20, 24, 28, 32};
constexpr int kWidthCount = sizeof(kWidths) / sizeof(kWidths[0]);
constexpr int kMaxWidth = kWidths[kWidthCount - 1];

// vertices[v] = sum of weight[e] * points[point[e]] over the entries e of v, for v in [begin, end).
using Splat = void (*)(const uint32_t* first_entry, const uint32_t* point, const float* weight, const float* points,
                       float* vertices, size_t begin, size_t end);

// Along each chain that starts in order[begin, end): v += (previous + next) / 2, in place.
// `order` lists the vertices of the chains one after the other, the first of each chain as ~vertex.
using Blur = void (*)(const int32_t* order, size_t size, float* vertices, size_t begin, size_t end);

// points[i] = (add ? points[i] : 0) + scale[i] * sum of weight * vertices over the corners of i.
using Slice = void (*)(const int32_t* vertex, const float* weight, size_t corners, const float* scale,
                       const float* vertices, float* points, bool add, size_t begin, size_t end);

// belief = softmax(logit + message), for points [begin, end). A point's logits and messages are `blocks` rows that lie
// `stride` floats apart; its beliefs take the messages' place. One more logit and belief lie apart in `last_*`: the
// message to that label is minus the sum of the others. What is below exp(-60) of the largest belief becomes zero, so
// that no denormal number enters the filter.
using Softmax = void (*)(const float* logits, float* messages, size_t blocks, size_t stride, const float* last_logit,
                         float* last_belief, size_t begin, size_t end);

struct Rows {
  const char* name;
  Splat splat[kWidthCount];
  Blur blur[kWidthCount];
  Slice slice[kWidthCount];
  Softmax softmax[kWidthCount];
};

const Rows& select_rows();

}  // namespace deeplab
