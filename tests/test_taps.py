"""Hooks on modules: what they find, what they note, what they refuse."""

import pytest
import torch
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.lobes.models.ResNet import ResNet
from speechbrain.lobes.models.Xvector import Xvector

from speechbrain_kd.losses.hidden import Place
from speechbrain_kd.taps import Taps

NETWORKS = {
    "ecapa": lambda: ECAPA_TDNN(
        24,
        channels=[8, 8, 8, 8, 24],
        attention_channels=4,
        res2net_scale=4,
        se_channels=4,
        lin_neurons=6,
    ),
    "resnet": lambda: ResNet(24, channels=[4] * 4, block_sizes=[1] * 4),
    "x-vector": lambda: Xvector(
        in_channels=24, tdnn_channels=[8, 8, 8, 8, 12], lin_neurons=6
    ),
}


class Odd(torch.nn.Module):
    """Everything that cannot be compared."""

    def __init__(self):
        super().__init__()
        self.twice = torch.nn.Linear(24, 24)
        self.changed = torch.nn.BatchNorm1d(101)
        self.inplace = torch.nn.ReLU(inplace=True)
        self.pair = torch.nn.LSTM(24, 4, batch_first=True)
        self.idle = torch.nn.Linear(2, 2)
        self.square = torch.nn.Identity()

    def forward(self, feats):
        out = self.inplace(self.changed(self.twice(self.twice(feats[:, :101]))))
        self.square(feats @ feats.transpose(1, 2))
        return self.pair(out)[0].mean(1)


def make(name):
    """A network in eval mode, and what embeds waveforms with it."""
    torch.manual_seed(0)
    model, fbank = NETWORKS.get(name, Odd)().eval(), Fbank(n_mels=24)
    return model, lambda wavs: model(fbank(wavs))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ecapa", Place("blocks.3", 8, 2)),
        ("ecapa", Place("asp.conv", 24, 2)),
        ("ecapa", Place("blocks.1.se_block.sigmoid", 8, None)),
        ("resnet", Place("layer2", 4 * 12, 2)),
        ("resnet", Place("attention.3", 4 * 3, 2)),
        ("resnet", Place("layer1.0.se.fc", 4, None)),
        ("x-vector", Place("blocks.11", 8, 1)),
        ("x-vector", Place("blocks.15", 24, None)),
    ],
)
def test_which_axis_is_time(name, expected):
    model, embed = make(name)
    taps = Taps([expected.path], "the student")
    assert taps.survey(model, embed) == {expected.path: expected}
    assert not any(module._forward_hooks for module in model.modules())


def test_what_was_given_and_nothing_of_validation():
    model, embed = make("ecapa")
    taps = Taps(["blocks.2", "asp.conv"], "the student", with_grad=True)
    taps.survey(model, embed)
    wavs = torch.randn(3, 8000, generator=torch.Generator().manual_seed(1))
    seen = []
    model.blocks[2].register_forward_hook(
        lambda module, given, output: seen.append(output)
    )
    with taps.attach(model):
        embed(wavs)
        with torch.no_grad():
            embed(-wavs)
    given = taps.take()
    assert given["blocks.2"].shape == (3, 51, 8)
    assert torch.equal(given["blocks.2"], seen[0].transpose(1, 2))
    assert given["blocks.2"].requires_grad
    with pytest.raises(ValueError, match="did not run its module asp.conv"):
        taps.take()


def test_attached_twice_notes_once_and_is_taken_away():
    model, embed = make("ecapa")
    taps = Taps(["mfa"], "the student")
    taps.survey(model, embed)
    taps.attach(model)
    taps.attach(model)
    assert len(model.mfa._forward_hooks) == 1
    taps.detach()
    assert not model.mfa._forward_hooks


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("blocks.9", "no module 'blocks.9'.*near it are blocks."),
        ("blocks.*", "without patterns; near it are"),
        ("embedding_model.mfa", "near it are .*mfa"),
        ("", "no module ''"),
    ],
)
def test_a_path_that_is_none(path, message):
    with pytest.raises(ValueError, match=message):
        Taps([path], "the student").attach(make("ecapa")[0])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("twice", "twice of the student runs 2 times in a pass"),
        ("changed", "a later module changes in place"),
        ("pair", "does not give one tensor"),
        ("idle", "the student did not run its module idle"),
        ("square", r"\[2, 101, 101\] for 1 s and \[2, 201, 201\] for 2 s"),
    ],
)
def test_an_output_that_cannot_be_compared(path, message):
    model, embed = make("odd")
    with pytest.raises(ValueError, match=message):
        Taps([path], "the student").survey(model, embed)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_compiled_model_is_refused():
    model = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 2)))
    with pytest.raises(ValueError, match="the student is compiled"):
        Taps(["0"], "the student").attach(model)
