// Python's door to the lattice. Arguments are checked in Python; here only what would otherwise read out of bounds.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <mutex>
#include <optional>
#include <stdexcept>
#include <tuple>

#include "mean_field.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using deeplab::Lattice;
using deeplab::MeanField;
using deeplab::PottsKernel;
using deeplab::Team;

namespace {

using Row = nb::ndarray<const float, nb::shape<1, -1>, nb::c_contig, nb::device::cpu>;
using Table = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using OutTable = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using KernelTuple = std::tuple<std::shared_ptr<Lattice>, float, std::optional<Row>, std::optional<Row>, Row>;

void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

std::vector<float> copy(const std::optional<Row>& values, size_t points) {
  if (!values) return {};
  require(values->shape(1) == points, "a normalisation or total must have one value per point");
  return std::vector<float>(values->data(), values->data() + points);
}

void make_lattice(Lattice* self, Table features, int threads) {
  nb::gil_scoped_release release;
  Team team(threads);
  new (self) Lattice(features.data(), features.shape(0), features.shape(1), team);
}

void filter(const Lattice& lattice, Table values, OutTable out, bool reverse, int threads) {
  require(values.shape(1) == lattice.points() && out.shape(1) == lattice.points() && values.shape(0) == out.shape(0),
          "values and out must be (channels, points)");
  nb::gil_scoped_release release;
  Team team(threads);
  lattice.filter(values.data(), out.data(), values.shape(0), reverse, team);
}

void make_mean_field(MeanField* self, Table unary, const std::vector<KernelTuple>& kernels, int threads) {
  require(unary.shape(0) > 0 && unary.shape(1) > 0, "unary must be (labels, points) and not empty");
  std::vector<PottsKernel> potts;
  for (const auto& [lattice, weight, before, after, total] : kernels) {
    require(lattice && lattice->points() == unary.shape(1), "a lattice must have as many points as the unary");
    potts.push_back({lattice, weight, copy(before, lattice->points()), copy(after, lattice->points()),
                     copy(total, lattice->points())});
  }
  nb::gil_scoped_release release;
  Team team(threads);
  new (self) MeanField(unary.data(), unary.shape(0), std::move(potts), unary.shape(1), team);
}

void step(MeanField& field, int steps, int threads) {
  nb::gil_scoped_release release;
  std::lock_guard<std::mutex> lock(field.mutex);
  Team team(threads);
  for (int i = 0; i < steps; ++i) field.step(team);
}

void belief(MeanField& field, OutTable out, int threads) {
  require(out.shape(0) == field.labels() && out.shape(1) == field.points(), "out must be (labels, points)");
  nb::gil_scoped_release release;
  std::lock_guard<std::mutex> lock(field.mutex);
  Team team(threads);
  field.belief(out.data(), team);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "The permutohedral lattice and fused mean field in C++; call it through deeplab.crf.";
  nb::class_<Lattice>(m, "Lattice")
      .def("__init__", &make_lattice, "features"_a.noconvert(), "threads"_a)
      .def_prop_ro("points", &Lattice::points)
      .def_prop_ro("dimension", &Lattice::dimension)
      .def_prop_ro("vertices", &Lattice::vertices)
      .def_prop_ro("nbytes", &Lattice::bytes)
      .def("filter", &filter, "values"_a.noconvert(), "out"_a.noconvert(), "reverse"_a, "threads"_a);
  nb::class_<MeanField>(m, "MeanField")
      .def("__init__", &make_mean_field, "unary"_a.noconvert(), "kernels"_a, "threads"_a)
      .def("step", &step, "steps"_a, "threads"_a)
      .def("belief", &belief, "out"_a.noconvert(), "threads"_a);
  m.def("instruction_set", [] { return deeplab::select_rows().name; });
}
