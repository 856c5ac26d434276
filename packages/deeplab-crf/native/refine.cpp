// JavaScript's door to the core: one tile of a photo, refined update by update. Arguments are checked in JavaScript.
#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include "mean_field.hpp"

using deeplab::Buffer;
using deeplab::Grid;
using deeplab::Lattice;
using deeplab::MeanField;
using deeplab::Pairwise;
using deeplab::Team;
using deeplab::Unary;

namespace {

constexpr float kLargestExactStdPx = 12.0f;  // up to here two sums take less time than a lattice
constexpr float kEpsilon = 1e-20f;           // keeps a point that nothing speaks to from dividing by zero

enum class Normalization { after, symmetric, before, none };

// What is worked on: a window of a photo with `stride` bytes a pixel, of which red, green and blue come first.
struct Window {
  const uint8_t* pixels;
  size_t height, width, stride, top, left;
  size_t points() const { return height * width; }
};

// The inverse of k, or of its root, as the normalisation has it before and after the filter; none is one.
struct Factors {
  std::vector<float> before, after;
};

Factors factors_of(Normalization normalization, const std::vector<float>& k) {
  std::vector<float> inverse(k.size());
  for (size_t i = 0; i < k.size(); ++i) inverse[i] = 1.0f / (k[i] + kEpsilon);
  switch (normalization) {
    case Normalization::none:
      return {};
    case Normalization::before:
      return {inverse, {}};
    case Normalization::after:
      return {{}, inverse};
    case Normalization::symmetric:
      break;
  }
  for (float& value : inverse) value = std::sqrt(value);
  return {inverse, inverse};
}

std::shared_ptr<const float> shared(std::vector<float> values) {
  if (values.empty()) return nullptr;
  const auto kept = std::make_shared<std::vector<float>>(std::move(values));
  return {kept, kept->data()};
}

// Place, and colour if `rgb_std` is above zero, each over its standard deviation.
std::shared_ptr<Pairwise> lattice_kernel(const Window& window, float xy_std_px, float rgb_std, float weight,
                                         Normalization normalization, Team& team) {
  const size_t dimension = rgb_std > 0 ? 5 : 2, points = window.points();
  std::shared_ptr<Lattice> lattice;
  {
    const Buffer<float> features(points * dimension);
    const float down = float(window.top) / xy_std_px, right = float(window.left) / xy_std_px;
    float* feature = features.data();
    for (size_t y = 0; y < window.height; ++y)
      for (size_t x = 0; x < window.width; ++x) {
        const uint8_t* pixel = window.pixels + (y * window.width + x) * window.stride;
        *feature++ = float(x) / xy_std_px + right;
        *feature++ = float(y) / xy_std_px + down;
        for (size_t c = 0; c + 2 < dimension; ++c) *feature++ = float(pixel[c]) / rgb_std;
      }
    lattice = std::make_shared<Lattice>(features.data(), points, dimension, team);
  }
  std::vector<float> k(points, 0.0f);
  lattice->add_total(1.0f, nullptr, nullptr, k.data(), team);
  Factors factors = factors_of(normalization, k);
  return std::make_shared<Pairwise>(
      Pairwise{lattice, nullptr, shared(std::move(factors.before)), shared(std::move(factors.after)), weight, {}});
}

std::vector<float> sums_along(const std::vector<float>& values, const std::vector<float>& taps) {
  const size_t size = values.size();
  std::vector<float> sums(size);
  for (size_t i = 0; i < size; ++i) sums[i] = taps[0] * values[i];
  for (size_t distance = 1; distance < std::min(taps.size(), size); ++distance) {
    for (size_t i = distance; i < size; ++i) sums[i] += taps[distance] * values[i - distance];
    for (size_t i = 0; i + distance < size; ++i) sums[i] += taps[distance] * values[i + distance];
  }
  return sums;
}

Grid::Normalization along_side(size_t length, const std::vector<float>& taps, Normalization normalization) {
  const std::vector<float> ones(length, 1.0f);
  Factors factors = factors_of(normalization, sums_along(ones, taps));
  if (factors.before.empty()) factors.before = ones;
  if (factors.after.empty()) factors.after = ones;
  std::vector<float> total = sums_along(factors.before, taps);
  for (size_t i = 0; i < length; ++i) total[i] *= factors.after[i];
  return {std::move(factors.before), std::move(factors.after), std::move(total)};
}

std::shared_ptr<Pairwise> grid_kernel(const Window& window, double xy_std_px, float weight,
                                      Normalization normalization) {
  const double longest = double(std::max(window.height, window.width) - 1);
  const size_t reach = size_t(std::min(std::ceil(5 * xy_std_px), longest));
  std::vector<float> taps;
  for (size_t distance = 0; distance <= reach; ++distance)
    taps.push_back(float(std::exp(-std::pow(double(distance) / xy_std_px, 2) / 2)));
  const auto grid = std::make_shared<Grid>(taps, along_side(window.width, taps, normalization),
                                           along_side(window.height, taps, normalization));
  return std::make_shared<Pairwise>(Pairwise{nullptr, grid, nullptr, nullptr, weight, {}});
}

// A tile in work; its probabilities are the caller's, and stay until it is closed.
struct Work {
  Team team{1};
  std::unique_ptr<MeanField> field;
};

}  // namespace

extern "C" {

// No addresses: that there is no memory, and that the photo spans more than the lattice can hold.
enum Refused : uintptr_t { kNoMemory = 1, kTooFar = 2 };

// Begins with (labels, points) probabilities. `fixed` may be null, or say of each point whether it keeps its
// probabilities. What it returns goes to the functions below, unless it is `Refused`.
__attribute__((export_name("open"))) uintptr_t open_tile(
    const uint8_t* pixels, size_t height, size_t width, size_t stride, size_t top, size_t left,
    const float* probabilities, size_t labels, const uint8_t* fixed, float bilateral_weight, float bilateral_xy_std_px,
    float bilateral_rgb_std, float spatial_weight, double spatial_xy_std_px, int normalization, float negligible) {
  try {
    auto work = std::make_unique<Work>();
    const Window window{pixels, height, width, stride, top, left};
    const auto way = Normalization(normalization);
    std::vector<std::shared_ptr<const Pairwise>> kernels{
        lattice_kernel(window, bilateral_xy_std_px, bilateral_rgb_std, bilateral_weight, way, work->team),
        spatial_xy_std_px <= kLargestExactStdPx
            ? grid_kernel(window, spatial_xy_std_px, spatial_weight, way)
            : lattice_kernel(window, float(spatial_xy_std_px), 0, spatial_weight, way, work->team)};
    std::vector<size_t> held;
    for (size_t i = 0; fixed && i < window.points(); ++i)
      if (fixed[i]) held.push_back(i);
    work->field = std::make_unique<MeanField>(Unary{probabilities, true, labels, window.points()}, std::move(kernels),
                                              std::move(held), negligible, work->team);
    return reinterpret_cast<uintptr_t>(work.release());
  } catch (const std::invalid_argument&) {
    return kTooFar;
  } catch (const std::exception&) {
    return kNoMemory;
  }
}

// Each returns zero, or `kNoMemory`.
__attribute__((export_name("step"))) uintptr_t step(Work* work) {
  try {
    work->field->step(work->team);
    return 0;
  } catch (const std::exception&) {
    return kNoMemory;
  }
}

// Writes the marginals, (labels, points); after the last ones there is no further step.
__attribute__((export_name("read"))) uintptr_t read_belief(Work* work, float* belief, bool last) {
  try {
    if (last) work->field->release();
    work->field->belief(belief, work->team);
    return 0;
  } catch (const std::exception&) {
    return kNoMemory;
  }
}

__attribute__((export_name("close"))) void close_tile(Work* work) { delete work; }

__attribute__((export_name("take"))) void* take(size_t bytes) {
  return ::operator new(bytes, std::align_val_t{64}, std::nothrow);
}

__attribute__((export_name("give"))) void give(void* start) { ::operator delete(start, std::align_val_t{64}); }

}  // extern "C"
