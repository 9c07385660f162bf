"""Layers in int8 arithmetic, by themselves and found to hurt."""

import copy
from collections import Counter

import numpy as np
import pytest
import torch
from small_onnx import encoder
from small_speech import speech

from speechbrain_kd.export.int8_layers import (
    find_layers,
    find_ranges,
    quantised,
    tidy,
)
from speechbrain_kd.export.int8_sweep import choose_float, embed, without
from speechbrain_kd.export.onnx_file import encoder_graph

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
NAMES = ["blocks.0.conv.conv", "mfa.conv.conv", "asp.tdnn.conv.conv", "fc.conv"]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A float graph, its layers, and the ranges of their tensors."""
    scratch = tmp_path_factory.mktemp("graph") / "scratch.onnx"
    model, _ = encoder_graph(encoder(), 16000, 13, scratch)
    layers = find_layers(model)
    return model, layers, find_ranges(model, speech(6))


def tables_of(model) -> dict[str, np.ndarray]:
    read = onnx.numpy_helper.to_array
    return {one.name: read(one) for one in model.graph.initializer}


def test_layers_are_named_as_the_modules_are(graph):
    _, layers, ranges = graph
    assert list(layers) == NAMES
    modules = dict(encoder().embedding_model.named_modules())
    for name, layer in layers.items():
        assert layer.weights == modules[name].weight.numel()
        assert set(layer.tensors) <= set(ranges.keys())
    # Each a convolution with its ReLU; the last has none.
    assert [len(layer.nodes) for layer in layers.values()] == [2, 2, 2, 1]


def test_integers_with_a_scale_for_each_channel(graph):
    model, layers, ranges = graph
    made = quantised(model, ranges, layers.values())
    weights = dict(encoder().embedding_model.state_dict())
    tables = tables_of(made)
    found = [one for one in tables.values() if one.dtype == np.int8]
    matrices = {one.shape: one for one in found if one.ndim == 3}
    for name in NAMES:
        weight = weights[f"{name}.weight"].numpy()
        values = matrices[weight.shape]
        assert np.abs(values).max() <= 64  # 7 bits, so that nothing saturates
        peaks = np.abs(values).reshape(len(values), -1).max(axis=1)
        assert (peaks >= 63).all()


def test_onnxruntime_computes_them_in_integers(graph, tmp_path):
    model, layers, ranges = graph
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    )
    made = quantised(model, ranges, without(layers, ["mfa.conv.conv"]))
    tidy(made)
    onnxruntime.InferenceSession(made.SerializeToString(), options)
    left = onnx.load(str(tmp_path / "optimised.onnx")).graph.node
    assert Counter(one.op_type for one in left)["QLinearConv"] == 3


def test_tidying_changes_bytes_alone(graph):
    model, layers, ranges = graph
    made = quantised(model, ranges, layers.values())
    small = copy.deepcopy(made)
    tidy(small)
    onnx.checker.check_model(small, full_check=True)
    assert small.ByteSize() < made.ByteSize()
    wavs = speech(2)
    assert np.array_equal(embed(small, wavs), embed(made, wavs))
    cosines = (embed(small, wavs) * embed(model, wavs)).sum(axis=1)
    assert 0.99 < cosines.min() and cosines.max() < 1 - 1e-6


def test_the_sweep_finds_a_layer_that_hurts(graph):
    model, layers, ranges = graph
    kept, cosines = choose_float(model, ranges, layers, speech(8)[6:])
    assert kept == [] and min(cosines.values()) > 0.999
    # The range of one layer's output holds a hundredth of what comes.
    bad = copy.deepcopy(ranges)
    output = layers["mfa.conv.conv"].tensors[2]
    low, high = bad[output].range_value
    bad.data[output] = type(bad[output])(lowest=low / 100, highest=high / 100)
    kept, cosines = choose_float(model, bad, layers, speech(8)[6:])
    assert kept == ["mfa.conv.conv"] == list(cosines)[:1]


def test_the_worst_go_until_all_together_hold(graph):
    model, layers, ranges = graph
    kept, cosines = choose_float(
        model, ranges, layers, speech(8)[6:], alone=0.0, together=2.0
    )
    assert kept == list(cosines) and set(kept) == set(NAMES)
    with pytest.raises(ValueError, match="no layer 'fc'; expected .*fc.conv"):
        without(layers, ["fc"])


def test_a_layer_without_a_module_of_its_own(tmp_path):
    class Twice(torch.nn.Module):
        """One convolution, used twice; a mean over time."""

        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv1d(16, 16, 3, padding=1)

        def forward(self, feats, lengths=None):
            hidden = self.conv(self.conv(feats.transpose(1, 2)).relu())
            return hidden.mean(dim=2, keepdim=True).transpose(1, 2)

    model, _ = encoder_graph(encoder(Twice()), 16000, 13, tmp_path / "a.onnx")
    layers = find_layers(model)
    assert len(layers) == 2 and next(iter(layers)) == "conv"
    made = quantised(model, find_ranges(model, speech(2)), layers.values())
    cosines = (embed(made, speech(1)) * embed(model, speech(1))).sum()
    assert cosines > 0.99
