"""The five numbers and the settings: what they accept, and their way to and from plain data."""

import json
import pickle

import numpy as np
import pytest

from deeplab.crf import CRFParams, CRFSettings, Shortcuts, refine
from deeplab.crf.params import PARAMETERS
from deeplab.errors import InputError


def test_round_trip():
    params = CRFParams(4, 67.5, 3, spatial_weight=2)
    assert CRFParams.from_dict(json.loads(json.dumps(params.to_dict()))) == params
    assert CRFParams.from_dict({}) == CRFParams()


def test_numpy_numbers_become_floats():
    params = CRFParams(np.float32(4), np.int64(60))
    assert type(params.bilateral_weight) is type(params.bilateral_xy_std_px) is float


def test_scaled_changes_distances_only():
    assert CRFParams(5, 50, 3, 3, 3).scaled(0.5) == CRFParams(5, 25, 3, 3, 1.5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1, "5", None, True, 1e30, ["1"], 1j])
@pytest.mark.parametrize("name", CRFParams().to_dict())
def test_bad_values(name, value):
    with pytest.raises(InputError, match=f"{name} is .*expected a number"):
        CRFParams(**{name: value})


@pytest.mark.parametrize("name", ["bilateral_xy_std_px", "bilateral_rgb_std", "spatial_xy_std_px"])
def test_deviations_are_above_zero(name):
    with pytest.raises(InputError, match="above 0"):
        CRFParams(**{name: 0})


def test_weights_may_be_zero():
    assert CRFParams(bilateral_weight=0, spatial_weight=0).bilateral_weight == 0


@pytest.mark.parametrize("factor", [0, -1, np.nan, "2"])
def test_bad_factor(factor):
    with pytest.raises(InputError, match="factor"):
        CRFParams().scaled(factor)


def test_unknown_names_are_told():
    with pytest.raises(InputError, match="unknown CRF parameter sxy; expected bilateral_weight"):
        CRFParams.from_dict({"sxy": 3})


def test_settings_round_trip():
    settings = CRFSettings(CRFParams(4, 67.5), np.int64(5), "symmetric")
    assert list(settings.to_dict()) == ["params", "iterations", "normalization"]
    assert CRFSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert CRFSettings.from_dict({}) == CRFSettings()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"iterations": "ten"}, "iterations is 'ten'; expected an integer"),
        ({"iterations": 2.5}, "iterations is 2.5"),
        ({"iterations": -1}, "iterations is -1"),
        ({"iterations": 2**31}, "iterations is 2147483648; .* at most 1,000,000"),
        ({"normalization": "aftr"}, "did you mean 'after'"),
        ({"normalization": ["after"]}, "expected one of"),
        ({"params": {"sigma": 1}}, "unknown CRF parameter sigma"),
        ({"params": None}, "CRF parameters are None; expected a mapping"),
        ({"sigma": 1}, "unknown CRF setting sigma; expected params, iterations, normalization"),
        ([], r"CRF settings are \[\]; expected a mapping"),
    ],
)
def test_bad_settings(values, message):
    with pytest.raises(InputError, match=message):
        CRFSettings.from_dict(values)


def test_settings_take_params_alone():
    with pytest.raises(InputError, match="params is tuple; expected CRFParams"):
        CRFSettings((5, 50, 3))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"exact_spatial": 1}, "exact_spatial is 1; expected True or False"),
        ({"narrow_bilateral": 1.05}, "narrow_bilateral is 1.05; expected True or False"),
        ({"prune_below": 1.5}, "prune_below is 1.5; .*at most 1"),
        ({"prune_below": None}, "prune_below is None"),
        ({"tile_side_px": -1}, "tile_side_px is -1"),
        ({"tile_side_px": 99.5}, "tile_side_px is 99.5"),
    ],
)
def test_bad_shortcuts(values, message):
    with pytest.raises(InputError, match=message):
        Shortcuts(**values)


def test_params_and_shortcuts_pickle():
    for value in (CRFParams(4, 67.5), CRFSettings(), Shortcuts(prune_below=0.2)):
        assert pickle.loads(pickle.dumps(value)) == value


def test_the_table_of_parameters_is_of_all_of_them_and_holds_their_defaults():
    defaults = {**CRFParams().to_dict(), "iterations": CRFSettings().iterations}
    assert list(PARAMETERS) == list(defaults)
    for name, parameter in PARAMETERS.items():
        ranges = [parameter.allowed, parameter.usual, *([parameter.searched[:2]] if parameter.searched else [])]
        assert all(least <= defaults[name] <= most for least, most in ranges)
        assert parameter.allowed[0] <= parameter.usual[0] < parameter.usual[1] <= parameter.allowed[1]
    for end in (0, 1):  # each range gives parameters that the CRF takes
        CRFParams(**{name: parameter.allowed[end] for name, parameter in PARAMETERS.items() if name != "iterations"})


LEARNT = CRFParams((1, 2, 3), 60, 5, (0.5, 0, 2.5), 3, [[0, 1, 2], [0.5, -1, 1], [3, 1, 0]])


def test_what_is_given_for_each_label_round_trips():
    assert CRFParams.from_dict(json.loads(json.dumps(LEARNT.to_dict()))) == LEARNT
    settings = CRFSettings(LEARNT, 5)
    assert CRFSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert hash(LEARNT) == hash(pickle.loads(pickle.dumps(LEARNT)))
    assert LEARNT.labels == 3
    assert CRFParams().labels is None
    assert LEARNT.numbers() == CRFParams(2, 60, 5, 1, 3).to_dict()
    assert settings.changed({"bilateral_weight": 4}).params.compatibility == LEARNT.compatibility
    assert LEARNT.scaled(2).bilateral_weight == (1, 2, 3)


def test_weighing_is_the_matrix_times_the_weights_of_what_is_heard():
    heard = np.array([0.2, 0.7, 0.1])
    costs = np.array(LEARNT.compatibility)
    by_hand = [sum(costs[l, k] * LEARNT.spatial_weight[k] * heard[k] for k in range(3)) for l in range(3)]  # noqa: E741
    weight, compatibility = LEARNT.weighing("spatial")
    np.testing.assert_allclose(weight * compatibility @ heard, by_hand, rtol=1e-6)
    # Potts: the same but for what all labels pay alike.
    potts = CRFParams((1, 2, 3))
    weight, reward = potts.weighing("bilateral")
    by_hand = [sum(potts.bilateral_weight[k] * heard[k] for k in range(3) if k != l) for l in range(3)]  # noqa: E741
    np.testing.assert_allclose(np.ptp(weight * reward * heard - by_hand), 0, atol=1e-6)
    assert CRFParams().weighing("bilateral") == (5.0, None)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bilateral_weight": [1, 2], "spatial_weight": [1, 2, 3]}, "bilateral_weight of 2, spatial_weight of 3"),
        ({"bilateral_weight": [1, 2], "compatibility": np.eye(3)}, "unequal numbers of labels"),
        ({"compatibility": np.ones((2, 3))}, r"shape \(2, 3\); expected \(labels, labels\)"),
        ({"compatibility": [[1]]}, "two or more"),
        ({"compatibility": [[0, np.nan], [1, 0]]}, "NaN"),
        ({"compatibility": [[0, 1], [1]]}, "compatibility"),
        ({"compatibility": "potts"}, "compatibility has dtype"),
        ({"spatial_weight": [1]}, "one label alone"),
        ({"spatial_weight": []}, "shape"),
        ({"spatial_weight": [1, -1]}, "spatial_weight is -1"),
        ({"spatial_weight": np.ones((2, 2))}, "or one for each label"),
    ],
)
def test_bad_values_for_each_label(values, message):
    with pytest.raises(InputError, match=message):
        CRFParams(**values)


def test_parameters_of_another_number_of_labels_are_refused():
    LEARNT.check_labels(3)
    with pytest.raises(InputError, match=r"bilateral_weight has shape \(3,\), for 3 labels; expected \(21,\)"):
        LEARNT.check_labels(21)
    with pytest.raises(InputError, match=r"compatibility has shape \(2, 2\), for 2 labels; expected \(3, 3\) for 3"):
        refine(np.zeros((4, 5, 3), np.uint8), np.full((3, 4, 5), 1 / 3), CRFParams(compatibility=1 - np.eye(2)))
