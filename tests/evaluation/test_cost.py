"""Costs against counts by hand."""

import pytest
import torch

from speechbrain_kd.evaluation import (
    count_macs,
    count_parameters,
    model_bytes,
    time_per_second,
)
from speechbrain_kd.evaluation.cost import evaluating, one_thread


def test_shared_parameters_count_once():
    layer = torch.nn.Linear(10, 10)
    model = torch.nn.Sequential(layer, torch.nn.BatchNorm1d(10), layer)
    assert count_parameters(model) == 110 + 20


def test_macs_of_a_convolution_by_hand():
    model = torch.nn.Conv1d(8, 16, kernel_size=3)
    assert count_macs(model, torch.ones(1, 8, 12)) == 10 * 16 * 8 * 3


def test_macs_of_an_ecapa_are_those_published():
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    student = ECAPA_TDNN(
        input_size=80, channels=[128, 128, 128, 128, 384], lin_neurons=192
    )
    macs = count_macs(student, torch.randn(1, 201, 80))
    # Measured apart: .764M parameters and .10 GMAC for 2 s.
    assert round(count_parameters(student) / 1e6, 3) == 0.764
    assert round(macs / 1e9, 2) == 0.10


def test_macs_leave_the_module_as_it_was():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    model[0].eval()
    before = {name: v.clone() for name, v in model.state_dict().items()}
    assert count_macs(model, torch.randn(5, 4)) == 80
    assert [model.training, model[0].training, model[1].training] == [
        True,
        False,
        True,
    ]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_macs_are_unknown_outside_pytorch():
    class Foreign(torch.nn.Module):
        """Work done in another runtime."""

        def forward(self, feats):
            return torch.from_numpy(feats.numpy().mean(axis=1))

    feats = torch.ones(1, 10, 4)
    assert count_macs(Foreign(), feats) is None
    assert count_macs(lambda feats: feats, feats) is None


def test_bytes_are_those_of_the_saved_file(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(9, 9), torch.nn.BatchNorm1d(9))
    torch.save(model.state_dict(), tmp_path / "archive.ckpt")
    size = (tmp_path / "archive.ckpt").stat().st_size
    assert abs(model_bytes(model) - size) < 200
    assert model_bytes(tmp_path / "archive.ckpt") == size
    assert model_bytes(str(tmp_path / "archive.ckpt")) == size


def test_time_runs_on_one_thread_without_gradients():
    before = torch.get_num_threads()
    seen = []

    def embed(wavs):
        seen.append(
            (
                tuple(wavs.shape),
                torch.get_num_threads(),
                torch.is_grad_enabled(),
            )
        )
        return wavs

    assert time_per_second(embed, duration_s=0.5, repeats=4, warmup=2) > 0
    assert seen == [((1, 8000), 1, False)] * 6
    assert torch.get_num_threads() == before


def test_time_is_the_median_per_second_of_speech(monkeypatch):
    clock = iter([0.0, 1.0, 10.0, 12.0, 20.0, 29.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    result = time_per_second(lambda w: w, duration_s=4, repeats=3, warmup=0)
    assert result == 500.0


def test_state_is_restored_after_errors():
    module, threads = torch.nn.Dropout(), torch.get_num_threads()
    with pytest.raises(KeyError), evaluating(module), one_thread():
        raise KeyError
    assert module.training and torch.get_num_threads() == threads


@pytest.mark.parametrize("options", [{"duration_s": 0}, {"repeats": 0}])
def test_nothing_to_time(options):
    with pytest.raises(ValueError, match="duration_s must be positive"):
        time_per_second(lambda wavs: wavs, **options)
