"""Mean field as a layer: the same marginals as DenseCRF, right gradients, and parameters that can be found again."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional as F

from deeplab.crf import DenseCRF, GaussianKernel
from deeplab.crf.kernels import NORMALIZATIONS
from deeplab.crf.torch import Kernel, mean_field
from deeplab.crf.torch.filters import METHODS
from deeplab.errors import InputError

LABELS, POINTS = 4, 60


def random(*shape, seed=0, scale=1.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, scale, shape))


LOGITS = random(2, LABELS, POINTS, scale=2).float()
FEATURES = random(2, POINTS, 3, seed=1, scale=2).float()
SHARED = random(POINTS, 2, seed=2, scale=2).float()
COSTS = random(LABELS, LABELS, seed=3).abs()
COSTS = (COSTS + COSTS.T).float()


def weights(normalization):
    return (0.02, 0.05) if normalization == "none" else (3.0, 2.0)


def kernels(normalization="after", compatibility=None):
    one, other = weights(normalization)
    return [Kernel(FEATURES, one, compatibility, normalization), Kernel(SHARED, other, None, normalization)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("costs", [None, COSTS], ids=["potts", "matrix"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_marginals_as_dense_crf(method, normalization, costs, dtype):
    marginals = mean_field(LOGITS.to(dtype), kernels(normalization, costs), iterations=5, method=method).exp()
    one, other = weights(normalization)
    matrix = None if costs is None else costs.numpy()
    for b, found in enumerate(marginals):
        theirs = [
            GaussianKernel(FEATURES[b].numpy(), one, matrix, normalization),
            GaussianKernel(SHARED.numpy(), other, None, normalization),
        ]
        expected = DenseCRF(-LOGITS[b].numpy(), theirs, method=method).infer(5)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_weights_per_label_and_uneven_costs_by_the_definition():
    """Krähenbühl & Koltun 2011, algorithm 1, with the weights of Zheng et al. 2015, written out in NumPy."""
    logits, weight, costs = LOGITS[:1].double(), random(LABELS, seed=5).abs(), random(LABELS, LABELS, seed=6)
    found = mean_field(logits, [Kernel(FEATURES[0], weight, costs)], iterations=3, method="exact").exp()
    start, w, mu = logits[0].numpy(), weight.numpy(), costs.numpy()
    features = FEATURES[0].double().numpy()
    k = np.exp(-((features[:, None] - features) ** 2).sum(2) / 2)
    scores = start
    for _ in range(3):
        belief = np.exp(scores) / np.exp(scores).sum(0)
        heard = np.einsum("ij,lj->li", k / k.sum(1, keepdims=True), belief)
        scores = start - np.einsum("lm,mi->li", mu, w[:, None] * heard)
    np.testing.assert_allclose(found[0].numpy(), np.exp(scores) / np.exp(scores).sum(0), rtol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_its_members(method):
    together = mean_field(LOGITS, kernels(), iterations=3, method=method)
    for b in range(2):
        alone = [Kernel(FEATURES[b], 3.0), Kernel(SHARED, 2.0)]
        one = mean_field(LOGITS[b : b + 1], alone, iterations=3, method=method)
        torch.testing.assert_close(together[b : b + 1], one, rtol=1e-5, atol=1e-5)


def test_no_update_and_no_kernel_change_nothing():
    torch.testing.assert_close(mean_field(LOGITS, kernels(), iterations=0), LOGITS.log_softmax(1))
    torch.testing.assert_close(mean_field(LOGITS, [], iterations=3), LOGITS.log_softmax(1))


def test_points_keep_their_shape():
    flat = mean_field(LOGITS, kernels(), iterations=2)
    torch.testing.assert_close(mean_field(LOGITS.view(2, LABELS, 3, 4, 5), kernels(), iterations=2).flatten(2), flat)
    strided = LOGITS.view(2, LABELS, 6, 10).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(mean_field(strided, kernels(), iterations=2).flatten(2), flat)


def test_equal_weights_for_all_labels_are_one_weight():
    per_label = [Kernel(FEATURES, torch.full((LABELS,), 3.0))]
    torch.testing.assert_close(mean_field(LOGITS, per_label), mean_field(LOGITS, [Kernel(FEATURES, 3.0)]))


def test_a_label_without_weight_is_not_heard():
    """Two far clusters of equal points: with w = (1, 0), label 0 spreads from point to point and label 1 does not."""
    logits = torch.tensor([[[4.0, 0.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0]]])
    features = torch.tensor([[0.0], [0.0], [9.0], [9.0]])
    marginals = mean_field(logits, [Kernel(features, torch.tensor([3.0, 0.0]))], iterations=3, method="exact").exp()
    assert marginals[0, 0, 1] > 0.9
    assert marginals[0, 1, 3] < 0.5


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("method", METHODS)
def test_gradients(method, normalization):
    """By finite differences: logits, weights and compatibilities, and where the filter is exact the features too."""
    logits, features, costs = random(2, 3, 8), random(2, 8, 2, seed=1), random(3, 3, seed=2)
    weight, scalar = random(3, seed=3).abs(), random(seed=4).abs()

    def run(logits, weight, scalar, costs, features):
        terms = [Kernel(features, weight, costs, normalization), Kernel(SHARED[:8], scalar, None, normalization)]
        return mean_field(logits, terms, iterations=3, method=method)

    inputs = [t.requires_grad_() for t in (logits, weight, scalar, costs)]
    assert gradcheck(run, (*inputs, features.requires_grad_(method == "exact")))


def test_native_core_and_pytorch_give_the_same_gradients():
    gradients = []
    for dtype in (torch.float32, torch.float64):
        inputs = [t.to(dtype, copy=True).requires_grad_() for t in (LOGITS, FEATURES, COSTS)]
        logits, features, costs = inputs
        belief = mean_field(logits, [Kernel(features, 2.0, costs, "symmetric")], iterations=4).exp()
        gradients.append(torch.autograd.grad((belief * random(*LOGITS.shape, seed=5).to(dtype)).sum(), inputs))
    for single, double in zip(*gradients, strict=True):
        torch.testing.assert_close(single.double(), double, rtol=2e-3, atol=1e-4)


def test_the_same_every_time():
    results = []
    for _ in range(2):
        logits, features = LOGITS.clone().requires_grad_(), FEATURES.clone().requires_grad_()
        belief = mean_field(logits, [Kernel(features, 2.0)], iterations=3)
        results.append((belief, *torch.autograd.grad(belief[:, 0].sum(), [logits, features])))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_half_precision_and_autocast_compute_in_float32():
    expected = mean_field(LOGITS.half().float(), kernels(compatibility=COSTS), iterations=3)
    assert torch.equal(mean_field(LOGITS.half(), kernels(compatibility=COSTS), iterations=3), expected)
    with torch.autocast("cpu", torch.bfloat16):
        autocast = mean_field(LOGITS.half().float(), kernels(compatibility=COSTS), iterations=3)
    assert torch.equal(autocast, expected)


# torch.compile looks at .grad of whatever tensor crosses a break of the graph, and warns itself.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_programs_call_it_as_it_is():
    def program(logits):
        return mean_field(2 * logits, kernels(), iterations=2).exp().square()

    compiled = torch.compile(program, backend="eager")
    assert torch.equal(compiled(LOGITS), program(LOGITS))
    gradients = [
        torch.autograd.grad(p(x)[:, 0].sum(), x)[0]
        for p in (compiled, program)
        for x in [LOGITS.clone().requires_grad_()]
    ]
    assert torch.equal(*gradients)


def test_function_transforms():
    def loss(logits, features):
        return mean_field(logits, [Kernel(features, 2.0)], iterations=2)[:, 0].sum()

    inputs = LOGITS.clone().requires_grad_(), FEATURES.clone().requires_grad_()
    by_autograd = torch.autograd.grad(loss(*inputs), inputs)
    for one, other in zip(torch.func.grad(loss, argnums=(0, 1))(LOGITS, FEATURES), by_autograd, strict=True):
        assert torch.equal(one, other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("method", METHODS)
def test_a_gpu_gives_what_the_cpu_gives(method):
    results = []
    for device in ("cpu", "cuda"):
        logits, features = (t.to(device).requires_grad_() for t in (LOGITS.clone(), FEATURES.clone()))
        belief = mean_field(logits, [Kernel(features, 2.0)], iterations=3, method=method)
        gradients = torch.autograd.grad(belief[:, 0].sum(), [logits, features])
        results.append([t.cpu() for t in (belief.detach(), *gradients)])
    for cpu, gpu in zip(*results, strict=True):
        torch.testing.assert_close(gpu, cpu, rtol=1e-3, atol=1e-4)


def test_weights_can_be_found_again():
    """From the marginals of a CRF with other weights, descent along the gradient finds them."""
    truth = torch.tensor([2.5, 0.5])

    def infer(weights):
        return mean_field(LOGITS, [Kernel(FEATURES, weights[0], COSTS), Kernel(SHARED, weights[1])], iterations=3)

    target = infer(truth).exp()
    weights = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=40, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        divergence = F.kl_div(infer(weights), target, reduction="batchmean")
        divergence.backward()
        return divergence

    optimizer.step(loss)
    torch.testing.assert_close(weights.detach(), truth, rtol=0.01, atol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": LOGITS[0]}, r"logits have shape \(4, 60\); .*logits\[None\]"),
        ({"logits": LOGITS[:, :, :0]}, "at least one of each"),
        ({"logits": LOGITS.numpy()}, "logits: expected a torch.Tensor, not a value of type ndarray"),
        ({"logits": LOGITS.long()}, "logits have dtype torch.int64"),
        ({"logits": LOGITS + torch.nan}, "logits has 480 NaN or infinite"),
        ({"logits": LOGITS * 1e12}, r"logits reaches .*clip them"),
        ({"logits": LOGITS[:, :, 1:]}, r"features have shape \(2, 60, 3\); expected \(2, 59, features\)"),
        ({"iterations": -1}, "iterations is -1"),
        ({"iterations": 1.5}, "iterations is 1.5"),
        ({"method": "lattices"}, "did you mean 'lattice'"),
        ({"weight": torch.ones(5)}, r"weight has shape \(5,\); expected a number or \(4,\)"),
        ({"weight": float("nan")}, "weight has 1 NaN or infinite"),
        ({"weight": "3"}, "weight is '3'; expected a number"),
        ({"weight": torch.ones((), device="meta")}, "weight is on meta and logits on cpu"),
        ({"compatibility": torch.ones(3, 3)}, r"compatibility has shape \(3, 3\); expected \(4, 4\)"),
        ({"compatibility": torch.full((4, 4), torch.inf)}, "compatibility has 16 NaN or infinite"),
        ({"compatibility": torch.ones(4, 4, device="meta")}, "compatibility is on meta"),
        (
            {"compatibility": COSTS.numpy()},
            r"compatibility: .*not a value of type ndarray: pass torch.as_tensor\(compatibility\)",
        ),
        ({"normalization": "symetric"}, "did you mean 'symmetric'"),
        ({"features": FEATURES.to("meta")}, "features is on meta"),
    ],
)
def test_bad_input(changes, message):
    parts = {"features": FEATURES} | {k: v for k, v in changes.items() if k in Kernel._fields}
    options = {"logits": LOGITS, "kernels": [Kernel(**parts)]} | {k: v for k, v in changes.items() if k not in parts}
    with pytest.raises(InputError, match=message):
        mean_field(**options)


@pytest.mark.parametrize(
    ("logits", "kernels", "message"),
    [
        (torch.zeros(1, 1, 5), [], r"logits of one label alone.*torch.cat\(\[torch.zeros_like\(x\), x\], 1\)"),
        (torch.zeros(1, 2, 5), [None], "kernels hold NoneType; expected nothing but deeplab.crf.torch.Kernel"),
        (torch.zeros(1, 2, 5), Kernel(torch.zeros(5, 1)), r"kernels is Kernel; expected a sequence of kernels"),
        (torch.zeros(1, 2, 5), None, "kernels is NoneType"),
    ],
)
def test_one_label_and_no_kernels(logits, kernels, message):
    with pytest.raises(InputError, match=message):
        mean_field(logits, kernels)
