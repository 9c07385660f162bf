"""Training in the rounding of int8."""

import copy

import numpy as np
import pytest
import torch
from small_onnx import encoder
from small_speech import speech

from speechbrain_kd.quantise import FakeInt8, Site, find_sites


def linear(outlier: float = 1.0) -> torch.nn.Sequential:
    """Two layers; a hidden unit may be large and then scaled back."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(32, 16), torch.nn.ReLU(), torch.nn.Linear(16, 32)
    )
    with torch.no_grad():
        model[0].weight[0] *= outlier
        model[0].bias[0] *= outlier
        model[2].weight[:, 0] /= outlier
    return model


def attached(model: torch.nn.Module, feats: torch.Tensor) -> FakeInt8:
    fake = FakeInt8()
    fake.fit(model, lambda: model(feats))
    fake.attach(model)
    return fake


def test_it_rounds_as_the_exported_file(tmp_path):
    pytest.importorskip("onnxruntime")
    from speechbrain_kd.export.int8_layers import (
        find_layers,
        find_ranges,
        quantised,
    )
    from speechbrain_kd.export.int8_sweep import embed
    from speechbrain_kd.export.onnx_file import encoder_graph

    model, wavs = encoder(), speech(5)
    waveforms = torch.from_numpy(np.stack(wavs))
    plain = unit(model, waveforms)
    graph, _ = encoder_graph(model, 16000, 13, tmp_path / "a.onnx")
    layers, ranges = find_layers(graph), find_ranges(graph, wavs)
    fake = FakeInt8()
    sites = fake.fit(model.embedding_model, lambda: model(waveforms))
    assert [site.layer for site in sites] == list(layers)
    # One at a time: a number at the edge of two integers may go either way,
    # and the layers after it would make much of that.
    for site, layer in zip(sites, layers.values(), strict=True):
        expected = embed(quantised(graph, ranges, [layer]), wavs)
        for side, name in enumerate((layer.tensors[0], layer.tensors[-1])):
            low, high = ranges[name].range_value
            fake.ranges[0, side, 0] = min(0.0, low.item())
            fake.ranges[0, side, 1] = max(0.0, high.item())
        fake.sites = [site]
        fake.attach(model.embedding_model)
        came = unit(model, waveforms)
        fake.detach()
        gap = np.abs(plain - expected).max()
        assert np.abs(came - expected).max() < 0.05 * gap
    assert np.array_equal(unit(model, waveforms), plain)


@torch.no_grad()
def unit(model: torch.nn.Module, waveforms: torch.Tensor) -> np.ndarray:
    """Embeddings of norm 1."""
    return torch.nn.functional.normalize(model(waveforms), dim=1).numpy()


def test_weights_learn_to_bear_it():
    feats = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    model = linear(outlier=200.0)
    target = model(feats).detach()
    assert torch.allclose(target, linear()(feats), atol=1e-4)
    fake = attached(model, feats)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(150):
        loss = (model(feats) - target).square().mean()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]
    # In evaluation the ranges rest.
    ranges = fake.ranges.clone()
    model.eval()
    model(100 * feats)
    assert torch.equal(ranges, fake.ranges)
    assert (model(feats) - target).square().mean() < 0.5 * losses[0]


def test_ranges_follow_the_batches():
    model = linear()
    fake = attached(model, torch.ones(1, 32))
    model(torch.linspace(-1, 3, 32)[None])
    assert torch.allclose(fake.ranges[0, 0], torch.tensor([-1.0, 3.0]))
    model(torch.full((1, 32), 7.0))
    assert torch.allclose(fake.ranges[0, 0], torch.tensor([-0.95, 3.2]))
    model(torch.full((1, 32), float("nan")))
    assert torch.allclose(fake.ranges[0, 0], torch.tensor([-0.95, 3.2]))


def test_the_model_is_as_it_was():
    model, feats = linear(), torch.randn(3, 32)
    keys, plain = list(model.state_dict()), model(feats)
    fake = attached(model, feats)
    assert list(model.state_dict()) == keys
    assert not torch.equal(model(feats), plain)
    loaded = FakeInt8()
    loaded.fit(model, lambda: model(feats))
    loaded.load_state_dict(fake.state_dict())
    assert torch.equal(loaded.ranges, fake.ranges) and fake.ranges.any()
    fake.detach()
    assert torch.equal(model(feats), plain)
    assert torch.equal(copy.deepcopy(model)(feats), plain)


def test_a_relu_that_serves_two_layers_is_none_of_theirs():
    relu = torch.nn.ReLU()
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3), relu, torch.nn.Conv2d(32, 8, 1), relu
    )
    sites = find_sites(model, lambda: model(torch.ones(1, 1, 4, 4)))
    assert sites == [Site("0", "0"), Site("2", "2")]
    fake = FakeInt8()
    with pytest.raises(ValueError, match="at least 256 weights, came none"):
        fake.fit(relu, lambda: relu(torch.ones(1)))
    with pytest.raises(ValueError, match="momentum must be above 0"):
        FakeInt8(momentum=0.0)


def test_half_precision_passes_through():
    model, feats = linear(), torch.randn(3, 32)
    attached(model, feats)
    with torch.autocast("cpu", torch.bfloat16):
        came = model(feats)
    assert came.dtype == torch.bfloat16
    came.float().sum().backward()
    assert model[0].weight.grad.abs().sum() > 0
