"""A projector in the last layer gives what it gave behind it."""

import pytest
import torch
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.lobes.models.ResNet import ResNet
from speechbrain.lobes.models.Xvector import Xvector

from speechbrain_kd.teachers.folding import fold


def ecapa(dim=12):
    return ECAPA_TDNN(
        16,
        channels=[8, 8, 8, 8, 24],
        attention_channels=8,
        se_channels=8,
        res2net_scale=2,
        lin_neurons=dim,
    )


def resnet(dim=12):
    return ResNet(
        16, channels=[4, 4, 8, 8], block_sizes=[1, 1, 1, 1], lin_neurons=dim
    )


def xvector(dim=12):
    return Xvector(
        tdnn_channels=[8, 8, 8, 8, 16],
        activation=torch.nn.LeakyReLU,
        lin_neurons=dim,
        in_channels=16,
    )


def trained(make):
    """A model whose statistics and scales are not those it began with."""
    torch.manual_seed(0)
    model = make().train()
    for _ in range(3):
        model(torch.randn(4, 60, 16))
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(layer.weight, 1.0, 0.3)
            torch.nn.init.normal_(layer.bias)
    return model.eval().requires_grad_(False)


def embed(model, feats):
    """X-vectors add noise while pooling, also in evaluation."""
    torch.manual_seed(1)
    return model(feats, torch.ones(len(feats))).reshape(len(feats), -1)


@pytest.mark.parametrize("make", [ecapa, resnet, xvector])
@pytest.mark.parametrize("dim", [12, 20, 5])
def test_it_gives_what_the_projector_gives(make, dim):
    model, feats = trained(make), torch.randn(3, 70, 16)
    projector = torch.nn.Linear(12, dim, bias=False)
    expected = projector(embed(model, feats))
    before = sum(weight.numel() for weight in model.parameters())
    assert fold(model, projector, torch.randn(2, 50, 16))
    found = embed(model, feats)
    assert found.shape == (3, dim)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
    after = sum(weight.numel() for weight in model.parameters())
    assert (after == before) == (dim == 12)  # no layer of its own
    assert not any(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("make", [ecapa, resnet, xvector])
def test_a_model_made_with_that_dimension_takes_its_weights(make):
    model = trained(make)
    assert fold(
        model, torch.nn.Linear(12, 20, bias=False), torch.randn(2, 50, 16)
    )
    other = make(20).eval()
    other.load_state_dict(model.state_dict())
    feats = torch.randn(3, 70, 16)
    assert torch.equal(embed(other, feats), embed(model, feats))


def test_a_model_that_ends_otherwise_is_left_alone():
    class Bounded(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.last = torch.nn.Linear(16, 12)

        def forward(self, feats, lens=None):
            return self.last(feats.mean(dim=1)).tanh()

    model, feats = Bounded().eval(), torch.randn(2, 50, 16)
    before = embed(model, feats)
    assert not fold(model, torch.nn.Linear(12, 4, bias=False), feats)
    assert torch.equal(embed(model, feats), before)
