from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from deeplab.errors import ModelError
from deeplab.models import METADATA_KEY, find_model
from deeplab.onnx_runtime import onnx_runtime
from deeplab.protobuf import fields, message
from deeplab.teach.onnx_file import with_classifier, with_features

CONTENT = find_model("voc-largefov").read_bytes()
IMAGE = {"image": np.random.default_rng(4).normal(0, 60, (1, 3, 33, 41)).astype(np.float32)}


def test_a_trunk_that_enlarges_photos_gives_features_of_the_same_cells() -> None:
    """camvid-largefov sees photos twice as large; a 33x41 photo has 5x6 cells all the same."""
    content = find_model("camvid-largefov").read_bytes()
    model, name = onnx.load_model_from_string(content), "conv5_3.u8"
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.UINT8, None))
    (found,), (layer,) = answers(with_features(content), "features"), answers(model.SerializeToString(), name)
    assert layer.shape[2:] == (9, 11)
    assert found.shape == (1, 1472, 5, 6)
    expected = np.sqrt(layer[0, :, 3:6, 5:8].astype(np.float64).mean((1, 2))) * 15.9
    np.testing.assert_allclose(found[0, -512:, 2, 3], expected, atol=0.51)
    again = with_classifier(content, np.zeros((2, 1472), np.float32), np.zeros(2, np.float32), "{}")
    np.testing.assert_array_equal(answers(with_features(again), "features")[0], found)


def answers(content: bytes, *outputs: str) -> list[NDArray[np.uint8]]:
    found: list[NDArray[np.uint8]] = onnx_runtime().InferenceSession(content).run(outputs, IMAGE)
    return found


def test_the_features_are_the_roots_of_mean_responses_of_the_trunk() -> None:
    """Against the whole model with its layers as further outputs, averaged pixel by pixel."""
    model, strides = onnx.load_model_from_string(CONTENT), (1, 2, 4, 8, 8)
    names = [f"{layer}.u8" for layer in ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.UINT8, None) for name in names)
    expected = []
    for layer, stride in zip(answers(model.SerializeToString(), *names), strides, strict=True):
        reach = 4 // stride
        for y in range(5):
            for x in range(6):
                rows, columns = (slice(max(0, at * 8 // stride - reach), at * 8 // stride + reach + 1) for at in (y, x))
                expected.append(np.sqrt(layer[0, :, rows, columns].astype(np.float64).mean((1, 2))) * 15.9)
    channels = [np.stack(expected[i * 30 : i * 30 + 30], 1).reshape(-1, 5, 6) for i in range(5)]
    (found,) = answers(with_features(CONTENT), "features")
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found[0], np.concatenate(channels), atol=0.51)


def test_the_scores_are_linear_in_the_features() -> None:
    weight = np.random.default_rng(1).normal(0, 0.01, (3, 1472)).astype(np.float32)
    bias = np.array((1, 2, 3), np.float32)
    content = with_classifier(CONTENT, weight, bias, '{"name": "mine"}')
    (features,), (scores,) = answers(with_features(CONTENT), "features"), answers(content, "scores")
    expected = np.tensordot(weight, features[0].astype(np.float64), 1) + bias[:, None, None]
    np.testing.assert_allclose(scores[0], expected, atol=1e-3)
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.key: entry.value for entry in model.metadata_props} == {METADATA_KEY: '{"name": "mine"}'}
    assert not any(tensor.name.startswith(("fc6", "fc7", "fc8")) for tensor in model.graph.initializer)
    # A taught file's trunk is as good as the one that it came from.
    (again,) = answers(with_features(content), "features")
    np.testing.assert_array_equal(again, features)


def test_a_message_is_written_as_it_was_read() -> None:
    assert message(fields(memoryview(CONTENT))) == CONTENT
    graph = next(value for number, value in fields(memoryview(CONTENT)) if number == 7)
    assert isinstance(graph, memoryview)
    assert message(fields(graph)) == bytes(graph)
    numbers = [0, 1, 127, 128, 300, 2**32 - 1, 2**63]
    assert [value for _, value in fields(memoryview(message((1, number) for number in numbers)))] == numbers
    assert [bytes(value) for _, value in fields(memoryview(message([(2, "é"), (3, b"ab")])))] == ["é".encode(), b"ab"]


def test_a_model_without_such_a_trunk_is_refused() -> None:
    model = onnx.load_model_from_string(CONTENT)
    for node in model.graph.node:
        node.output[:] = [name.replace("conv2_2.u8", "conv2_2") for name in node.output]
        node.input[:] = [name.replace("conv2_2.u8", "conv2_2") for name in node.input]
    with pytest.raises(ModelError, match=r"no layer conv2_2\.u8, an int8 trunk's; give a shipped model's name, or"):
        with_features(model.SerializeToString())
    for damaged in (CONTENT[:-7], b"\xff" * 40, message([(7, 3)])):
        with pytest.raises(ValueError, match=r"end too early|64 bits|wire type|number"):
            with_features(damaged)
