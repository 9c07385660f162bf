"""What only a GPU shows: graphs of the student's passes, whole runs."""

import copy
import json
import logging

import pytest
import torch
from small_runs import EMBEDDING, distil, train, train_log
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.lobes.models.Xvector import Xvector
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.speed.features import FastFeatures
from speechbrain_kd.speed.graphs import GraphedEncoder

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA GPU"
)


class Unlucky(torch.nn.Module):
    """Looks at its numbers, which a graph cannot."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(80, 8)

    def forward(self, feats, lens=None):
        out = self.layer(feats).mean(1)
        return out * 2 if out.sum().item() > 0 else out


def ecapa():
    return ECAPA_TDNN(
        80,
        channels=[16, 16, 16, 16, 48],
        attention_channels=8,
        se_channels=8,
        res2net_scale=4,
        lin_neurons=8,
    )


@pytest.fixture
def exact():
    """No TF32, and cuDNN by its rules: the same numbers every time."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    cudnn.deterministic = True
    yield
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic = before


def steps(encoder, model, shapes, autocast=False):
    """Losses of some steps of SGD; evaluates in between."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for number, frames in enumerate(shapes):
        feats = torch.randn(6, frames, 80, generator=generator).cuda()
        model.train()
        with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
            out = encoder(feats, None)
        loss = (out.float().flatten(1) - feats.mean(1)[:, :8]).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if number % 5 == 4:
            with torch.no_grad():
                model.eval()
                losses.append(encoder(feats, None).square().mean().item())
    return losses


@pytest.mark.parametrize("autocast", [False, True])
def test_a_graph_takes_the_same_steps(autocast, exact):
    torch.manual_seed(0)
    model = ecapa().cuda()
    twin = copy.deepcopy(model)
    shapes = [60] * 8 + [90] * 6 + [60] * 2
    expected = steps(model, model, shapes, autocast)
    encoder = GraphedEncoder(twin)
    found = steps(encoder, twin, shapes[:8], autocast)
    assert encoder.captured
    assert found == pytest.approx(expected[:9], rel=1e-3 if autocast else 1e-4)


def test_buffers_and_generator_are_as_without_a_graph(exact):
    torch.manual_seed(0)
    model = ecapa().cuda()
    twin = copy.deepcopy(model)
    shapes = [60] * 8 + [90] * 6 + [60] * 2
    encoder = GraphedEncoder(twin)
    expected = steps(model, model, shapes)
    assert steps(encoder, twin, shapes) == pytest.approx(expected, rel=1e-3)
    for name, value in model.state_dict().items():
        other = twin.state_dict()[name]
        assert torch.allclose(value, other, rtol=1e-2, atol=1e-4), name
    assert not encoder.captured  # two batches of the last shape
    torch.manual_seed(3)
    state = torch.cuda.get_rng_state()
    steps(encoder, twin, [70] * 5)
    assert encoder.captured
    assert torch.equal(torch.cuda.get_rng_state(), state)


def test_an_x_vector_draws_new_noise_in_every_step():
    torch.manual_seed(0)
    model = Xvector(in_channels=80, lin_neurons=8).cuda().train()
    encoder = GraphedEncoder(model)
    feats = torch.randn(4, 60, 80, device="cuda")
    for _ in range(5):
        encoder(feats, None).sum().backward()
    assert encoder.captured
    outs = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        outs.append(encoder(feats, None).detach().clone())
    assert not torch.equal(outs[0], outs[1])


def test_what_cannot_be_captured_is_called_as_it_is(caplog):
    torch.manual_seed(0)
    model = Unlucky().cuda()
    twin = copy.deepcopy(model)
    encoder = GraphedEncoder(twin)
    with caplog.at_level(logging.WARNING):
        found = steps(encoder, twin, [60] * 10)
    assert found == pytest.approx(steps(model, model, [60] * 10), rel=1e-5)
    assert not encoder.captured
    assert sum("No CUDA graph of Unlucky" in m for m in caplog.messages) == 1


def test_features_on_the_gpu_equal_speechbrains():
    norm = InputNormalization(norm_type="sentence", std_norm=False)
    fbank = Fbank(n_mels=80).cuda()
    wavs = 0.1 * torch.randn(4, 24000, device="cuda")
    found = FastFeatures(fbank, norm).cuda()(wavs)
    expected = norm(fbank(wavs), torch.ones(4, device="cuda"))
    assert torch.allclose(found, expected, atol=1e-4)
    on_cpu = FastFeatures(Fbank(n_mels=80), norm)(wavs.cpu())
    assert torch.allclose(found.cpu(), on_cpu, atol=0.05)  # TF32, in dB


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_distilled_run(tiny_corpus, teacher, tmp_path, precision):
    given = (
        "--device=cuda",
        f"--precision={precision}",
        f"--distillation={EMBEDDING}",
        "--teacher_views=2",
        "--number_of_epochs=4",
        "--num_workers=2",
    )
    folder = distil(tiny_corpus, tmp_path / "run", teacher, *given)
    assert "No CUDA graph" not in (folder / "log.txt").read_text()
    results = json.loads((folder / "report" / "results.json").read_text())
    assert 0 <= results["systems"]["student"]["eer"] <= 0.6
    assert (folder / "export" / "hyperparams.yaml").is_file()


def test_graphs_change_no_run(tiny_corpus, tmp_path, exact):
    losses = []
    for graphs in (True, False):
        folder = train(
            tiny_corpus,
            tmp_path / str(graphs),
            "--device=cuda",
            "--number_of_epochs=3",
            "--lr=0.001",
            f"--cuda_graphs={graphs}",
        )
        losses.append([entry["train loss"] for entry in train_log(folder)])
    assert len(losses[0]) == 3
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_accumulated_gradients_have_their_own_memory(exact):
    torch.manual_seed(0)
    model = ecapa().cuda().train()
    twin = copy.deepcopy(model)
    encoder = GraphedEncoder(twin, accumulates=True)
    feats = torch.randn(10, 4, 60, 80, device="cuda")
    for number in range(4):
        encoder(feats[number], None).square().sum().backward()
        model(feats[number], None).square().sum().backward()
    assert encoder.captured
    for one in (model, twin):
        one.zero_grad(set_to_none=True)
    for number in range(4, 10):
        encoder(feats[number], None).square().sum().backward()
        model(feats[number], None).square().sum().backward()
    for param, other in zip(model.parameters(), twin.parameters(), strict=True):
        scale = float(param.grad.abs().max()) + 1e-6
        assert torch.allclose(param.grad, other.grad, atol=1e-3 * scale)
