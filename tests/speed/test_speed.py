"""The allocator, the optimiser, the threads and the encoders' padding."""

import functools
import platform

import pytest
import torch
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

from speechbrain_kd.speed import allocator, precision, threads
from speechbrain_kd.speed.modules import skip_empty_padding
from speechbrain_kd.speed.optimiser import fused


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_glibc_takes_the_settings():
    assert allocator.keep_freed_memory()


def test_another_libc_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocator.keep_freed_memory()


def test_an_encoder_without_empty_padding_is_the_same_to_the_bit():
    torch.manual_seed(0)
    model = ECAPA_TDNN(
        80,
        channels=[16, 16, 16, 16, 48],
        attention_channels=8,
        se_channels=8,
        res2net_scale=4,
        lin_neurons=8,
    )
    feats = torch.randn(3, 50, 80)
    before = model(feats)
    before.sum().backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    assert skip_empty_padding(model) > 8
    after = model(feats)
    after.sum().backward()
    assert torch.equal(before, after)
    for param, gradient in zip(model.parameters(), gradients, strict=True):
        assert torch.allclose(param.grad, gradient, atol=1e-6)
    assert skip_empty_padding(model) == 0


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "SGD"])
def test_a_fused_optimiser_takes_the_same_steps(kind):
    weights = []
    kind = functools.partial(getattr(torch.optim, kind), lr=0.1)
    for opt_class in (kind, fused(kind)):
        torch.manual_seed(0)
        layer = torch.nn.Linear(4, 3)
        optimizer = opt_class(layer.parameters())
        for _ in range(5):
            optimizer.zero_grad()
            layer(torch.ones(2, 4)).square().sum().backward()
            optimizer.step()
        weights.append(layer.weight.detach())
    assert optimizer.defaults["fused"]
    assert torch.allclose(*weights, atol=1e-6)


def test_an_optimiser_that_says_how_it_is_computed_is_left_alone():
    said = functools.partial(torch.optim.Adam, lr=0.1, foreach=True)
    assert fused(said) is said
    assert fused(None) is None


@pytest.mark.parametrize(
    "choice, there, said",
    [
        (("bf16", "cpu"), False, True),
        (("bf16", "cpu"), True, False),
        (("bf16", "cuda"), False, False),
        (("fp32", "cpu"), False, False),
    ],
)
def test_bf16_that_is_slow_is_said(monkeypatch, caplog, choice, there, said):
    monkeypatch.setattr(precision, "has_bf16", lambda: there)
    assert precision.warn_of_slow_bf16(*choice) == said
    assert ("slower than fp32" in caplog.text) == said


def test_the_processor_can_be_asked():
    assert precision.has_bf16() in (True, False)


def test_what_the_yaml_says_of_readers_is_followed():
    assert threads.plan(3, "cpu", cores=2) == (3, 2)
    assert threads.plan(0, "cuda", cores=16) == (0, 16)
    assert threads.plan("auto", "cuda", cores=1) == (1, 1)
    assert threads.plan("auto", "cpu", cores=8, local_ranks=4) == (0, 2)


def test_the_environment_decides_about_threads(monkeypatch, caplog):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    with caplog.at_level("INFO"):
        made = threads.settle("auto", "cpu")
    assert made == (0, before) and "threads compute" in caplog.text
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(threads, "usable_cores", lambda: 1)
    assert threads.settle(2, "cpu") == (2, 1)
    torch.set_num_threads(before)
