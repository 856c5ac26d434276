// Python's door to the lattice. Arguments are checked in Python; here only what would otherwise read out of bounds.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <stdexcept>

#include "mean_field.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using deeplab::Buffer;
using deeplab::Grid;
using deeplab::Lattice;
using deeplab::MeanField;
using deeplab::Pairwise;
using deeplab::Team;

namespace {

using Row = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Table = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Flags = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using OutRow = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using OutTable = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

template <class... Arrays>
void require_aligned(const Arrays&... arrays) {
  require(((reinterpret_cast<uintptr_t>(arrays.data()) % alignof(float) == 0) && ...), "an array is not aligned");
}

template <class Array>
std::vector<float> copy(const Array& values) {
  require_aligned(values);
  return {values.data(), values.data() + values.size()};
}

// Uninitialised float32 that goes back to the system as soon as Python lets go of it.
nb::ndarray<nb::numpy, float> empty(const std::vector<size_t>& shape) {
  size_t size = 1;
  for (const size_t length : shape) {
    if (length && size > PTRDIFF_MAX / length) throw std::bad_alloc();
    size *= length;
  }
  auto* values = new Buffer<float>(size);
  const nb::capsule owner(values, [](void* buffer) noexcept { delete static_cast<Buffer<float>*>(buffer); });
  return {values->data(), shape.size(), shape.data(), owner};
}

void make_lattice(Lattice* self, Table features, int threads) {
  require_aligned(features);
  nb::gil_scoped_release release;
  Team team(threads);
  new (self) Lattice(features.data(), features.shape(0), features.shape(1), team);
}

void sums(const Lattice& lattice, OutRow out, int threads) {
  require(out.shape(0) == lattice.points(), "out must have one value per point");
  require_aligned(out);
  nb::gil_scoped_release release;
  Team team(threads);
  std::fill(out.data(), out.data() + out.shape(0), 0.0f);
  lattice.add_total(1.0f, nullptr, nullptr, out.data(), team);
}

void filter(const Lattice& lattice, Table values, OutTable out, bool reverse, int threads) {
  require(values.shape(1) == lattice.points() && out.shape(1) == lattice.points() && values.shape(0) == out.shape(0),
          "values and out must be (channels, points)");
  require_aligned(values, out);
  nb::gil_scoped_release release;
  Team team(threads);
  lattice.filter(values.data(), out.data(), values.shape(0), reverse, team);
}

void make_grid(Grid* self, Row taps, Row columns_before, Row columns_after, Row columns_total, Row rows_before,
               Row rows_after, Row rows_total) {
  require(taps.shape(0) > 0, "a grid needs at least one tap");
  const auto along = [](const Row& before, const Row& after, const Row& total) {
    const size_t size = before.shape(0);
    require(size > 0 && after.shape(0) == size && total.shape(0) == size,
            "a grid needs a normalisation before and after, and a total, for each of its columns and rows");
    return Grid::Normalization{copy(before), copy(after), copy(total)};
  };
  new (self)
      Grid(copy(taps), along(columns_before, columns_after, columns_total), along(rows_before, rows_after, rows_total));
}

// The normalisations are not copied: the term holds the arrays.
Pairwise lattice_term(std::shared_ptr<Lattice> lattice, float weight, const std::optional<Row>& before,
                      const std::optional<Row>& after, const std::optional<Table>& matrix) {
  const size_t points = lattice->points();
  const auto kept = [&](const std::optional<Row>& values) -> std::shared_ptr<const float> {
    if (!values) return nullptr;
    require(values->shape(0) == points, "a normalisation must have one value per point");
    require_aligned(*values);
    return {std::make_shared<Row>(*values), values->data()};
  };
  Pairwise term{lattice, nullptr, kept(before), kept(after), weight, {}};
  if (matrix) term.matrix = copy(*matrix);
  return term;
}

Pairwise grid_term(std::shared_ptr<Grid> grid, float weight, const std::optional<Table>& matrix) {
  Pairwise term{nullptr, grid, nullptr, nullptr, weight, {}};
  if (matrix) term.matrix = copy(*matrix);
  return term;
}

void make_mean_field(MeanField* self, Table unary, bool probabilities,
                     const std::vector<std::shared_ptr<Pairwise>>& terms, float negligible, int threads,
                     const std::optional<Flags>& fixed) {
  const size_t labels = unary.shape(0), points = unary.shape(1);
  require(labels > 0 && points > 0, "unary must be (labels, points) and not empty");
  require_aligned(unary);
  size_t grid_width = 0;
  for (const auto& term : terms) {
    require(bool(term), "a kernel is None");
    require((term->lattice ? term->lattice->points() : term->grid->points()) == points,
            "a kernel must have as many points as the unary");
    require(term->matrix.empty() || term->matrix.size() == labels * labels, "a matrix must be (labels, labels)");
    if (term->grid) {
      require(grid_width == 0 || grid_width == term->grid->width(), "all grids must have the same shape");
      grid_width = term->grid->width();
    }
  }
  std::vector<size_t> held;
  if (fixed) {
    require(fixed->shape(0) == points, "fixed must have one value per point");
    for (size_t i = 0; i < points; ++i)
      if (fixed->data()[i]) held.push_back(i);
  }
  nb::gil_scoped_release release;
  Team team(threads);
  new (self) MeanField({unary.data(), probabilities, labels, points}, {terms.begin(), terms.end()}, std::move(held),
                       negligible, team);
}

void step(MeanField& field, int steps, int threads) {
  nb::gil_scoped_release release;
  std::lock_guard<std::mutex> lock(field.mutex);
  require(!field.released(), "the field was released");
  Team team(threads);
  for (int i = 0; i < steps; ++i) field.step(team);
}

void belief(MeanField& field, OutTable out, int threads) {
  require(out.shape(0) == field.unary().labels && out.shape(1) == field.unary().points, "out must be (labels, points)");
  require_aligned(out);
  nb::gil_scoped_release release;
  std::lock_guard<std::mutex> lock(field.mutex);
  Team team(threads);
  field.belief(out.data(), team);
}

void release(MeanField& field) {
  nb::gil_scoped_release release;
  std::lock_guard<std::mutex> lock(field.mutex);
  field.release();
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "The permutohedral lattice and fused mean field in C++; call it through deeplab.crf.";
  // Off unless asked for: at exit a program may hold what it likes, and PyTorch its graph and what that holds.
  nb::set_leak_warnings(false);
  m.def("set_leak_warnings", &nb::set_leak_warnings, "on"_a);
  m.def("empty", &empty, "shape"_a);
  nb::class_<Lattice>(m, "Lattice")
      .def("__init__", &make_lattice, "features"_a.noconvert(), "threads"_a)
      .def_prop_ro("points", &Lattice::points)
      .def_prop_ro("dimension", &Lattice::dimension)
      .def_prop_ro("vertices", &Lattice::vertices)
      .def_prop_ro("nbytes", &Lattice::bytes)
      .def("sums", &sums, "out"_a.noconvert(), "threads"_a)
      .def("filter", &filter, "values"_a.noconvert(), "out"_a.noconvert(), "reverse"_a, "threads"_a);
  nb::class_<Grid>(m, "Grid").def("__init__", &make_grid, "taps"_a.noconvert(), "columns_before"_a.noconvert(),
                                  "columns_after"_a.noconvert(), "columns_total"_a.noconvert(),
                                  "rows_before"_a.noconvert(), "rows_after"_a.noconvert(), "rows_total"_a.noconvert());
  nb::class_<Pairwise>(m, "Pairwise");
  m.def("lattice_term", &lattice_term, "lattice"_a, "weight"_a, "before"_a.noconvert().none(),
        "after"_a.noconvert().none(), "matrix"_a.noconvert().none());
  m.def("grid_term", &grid_term, "grid"_a, "weight"_a, "matrix"_a.noconvert().none());
  nb::class_<MeanField>(m, "MeanField")
      .def("__init__", &make_mean_field, "unary"_a.noconvert(), "probabilities"_a, "terms"_a, "negligible"_a,
           "threads"_a, "fixed"_a.noconvert() = nb::none(), nb::keep_alive<1, 2>())
      .def("step", &step, "steps"_a, "threads"_a)
      .def("belief", &belief, "out"_a.noconvert(), "threads"_a)
      .def("release", &release)
      .def_prop_ro("contested", &MeanField::contested);
  m.def("instruction_set", [] { return deeplab::loops().instruction_set; });
}
