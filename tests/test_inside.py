"""Terms on hidden layers in the Brain: hooks set, read and taken away."""

import copy

import pytest
import torch
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, Classifier
from speechbrain.processing.features import InputNormalization
from test_brain import FakeTeacher, make_batch, make_brain, step

from speechbrain_kd.losses import (
    ChannelGates,
    CosineEmbedding,
    DistillationObjective,
    FrameFeatures,
    PoolingAttention,
)
from speechbrain_kd.speed.graphs import why_not_graphed
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.onnx import OnnxTeacher


def ecapa(channels, dim):
    """A small ECAPA on 24 mel bins."""
    return ECAPA_TDNN(
        24,
        channels=[channels] * 4 + [3 * channels],
        attention_channels=8,
        res2net_scale=4,
        se_channels=8,
        lin_neurons=dim,
    )


class EcapaTeacher(Teacher):
    """An ECAPA with random weights."""

    def __init__(self):
        super().__init__("a small ECAPA", embedding_dim=8)
        torch.manual_seed(7)
        self.compute_features = Fbank(n_mels=24)
        self.embedding_model = ecapa(12, 8)
        self.freeze()

    def encode(self, wavs, lens):
        feats = self.compute_features(wavs)
        return self.embedding_model(feats, lens).squeeze(1)


def hidden_terms():
    """One of each kind, beside one on embeddings."""
    gates = [f"blocks.{block}.se_block.sigmoid" for block in (1, 2)]
    return {
        "embedding": CosineEmbedding(),
        "frames": FrameFeatures("blocks.3", "embedding_model.blocks.3"),
        "pooling": PoolingAttention("asp.conv", "embedding_model.asp.conv"),
        "gates": ChannelGates(gates, [f"embedding_model.{g}" for g in gates]),
    }


def inside_brain(run_opts=None, terms=None, teacher=None, **replaced):
    """A Brain whose student and teacher are ECAPAs."""
    torch.manual_seed(2)
    modules = {
        "compute_features": Fbank(n_mels=24),
        "mean_var_norm": InputNormalization(
            norm_type="sentence", std_norm=False
        ),
        "embedding_model": ecapa(8, 8),
        "classifier": Classifier(8, out_neurons=4),
    }
    terms = hidden_terms() if terms is None else terms
    weights = {"classification": 1.0} | dict.fromkeys(terms, 2.0)
    return make_brain(
        run_opts,
        modules=modules,
        **modules,
        teacher=teacher or EcapaTeacher(),
        distillation=DistillationObjective(terms, weights),
        **replaced,
    )


def test_a_step_by_hand():
    """The frames' term, of outputs that this test catches itself."""
    brain = inside_brain()
    brain.on_fit_start()
    caught = {}
    for name, model in (
        ("student", brain.modules.embedding_model),
        ("teacher", brain.teacher.embedding_model),
    ):
        model.blocks[3].register_forward_hook(
            lambda module, given, output, name=name: caught.update(
                {name: output.transpose(1, 2)}
            )
        )
    _, loss = step(brain, make_batch())
    (adapter,) = brain.hparams.distillation.terms["frames"].adapters
    adapted = torch.einsum("btc,dc->btd", caught["student"], adapter.weight)
    cosine = torch.cosine_similarity(
        adapted + adapter.bias, caught["teacher"], dim=2
    )
    means = brain.term_means()
    assert means["frames"] == pytest.approx(1 - cosine.mean().item(), abs=1e-3)
    parts = {name: total for name, (total, _) in brain.term_sums.items()}
    assert set(parts) == {"classification", *hidden_terms()}
    distilled = sum(parts.values()) - parts["classification"]
    torch.testing.assert_close(
        loss.detach(), parts["classification"] + 2 * distilled
    )


def test_gradients_reach_student_and_adapters_and_not_the_teacher():
    brain = inside_brain(
        terms={name: hidden_terms()[name] for name in ("frames", "gates")},
        compute_cost=None,
    )
    brain.on_fit_start()
    before = copy.deepcopy(brain.teacher.state_dict())
    step(brain, make_batch())[1].backward()
    model = brain.modules.embedding_model
    for part in (model.blocks[0], model.blocks[3], brain.modules.distillation):
        assert all(p.grad.abs().sum() > 0 for p in part.parameters())
    assert all(p.grad is None for p in model.asp.parameters())
    assert all(p.grad is None for p in brain.teacher.parameters())
    for name, value in brain.teacher.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_adapters_are_optimised_and_saved_and_never_the_students():
    brain = inside_brain()
    brain.on_fit_start()
    adapters = dict(brain.modules.distillation.named_parameters())
    assert adapters["terms.frames.adapters.0.weight"].shape == (12, 8)
    optimised = {
        id(p) for group in brain.optimizer.param_groups for p in group["params"]
    }
    assert all(id(p) in optimised for p in adapters.values())
    assert adapters.keys() <= brain.modules.distillation.state_dict().keys()
    keys = brain.modules.embedding_model.state_dict().keys()
    assert keys == ecapa(8, 8).state_dict().keys()


def test_hooks_forbid_graphs_and_end_with_the_training():
    brain = inside_brain()
    model = brain.modules.embedding_model
    assert why_not_graphed(model) is None
    brain.on_fit_start()
    assert why_not_graphed(model) == "it has hooks"
    brain.fit([], [0])
    for network in (model, brain.teacher):
        assert not any(part._forward_hooks for part in network.modules())


def test_bf16():
    brain = inside_brain()
    brain.on_fit_start()
    exact = step(brain, make_batch())[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = step(brain, make_batch())[1]
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)
    loss.backward()


def test_padded_batches_count_what_was_spoken():
    """An augmentation that halves some utterances."""

    class Halves:
        def __call__(self, wavs, lens):
            lens = torch.tensor([1.0, 0.5, 1.0, 0.5])
            kept = torch.arange(wavs.shape[1]) < lens[:, None] * wavs.shape[1]
            return wavs * kept, lens

        def replicate_labels(self, labels):
            return labels

    brain = inside_brain(wav_augment=Halves())
    brain.on_fit_start()
    step(brain, make_batch())
    padded = {name: total for name, (total, _) in brain.term_sums.items()}
    pairs = brain.inside
    term = brain.hparams.distillation.terms["pooling"]
    brain.modules.train()
    wavs, lens = Halves()(make_batch().sig.data, None)
    feats = brain.features(wavs, lens)
    brain.modules.embedding_model(feats, lens)
    brain.teacher(wavs, lens)
    student, teacher = pairs.student.take(), pairs.teacher.take()
    torch.testing.assert_close(
        padded["pooling"], term(student, teacher, lens).detach()
    )
    whole = term(student, teacher, torch.ones(4))
    assert (whole - padded["pooling"]).abs() > 1e-4


class Foreign(OnnxTeacher):
    """What an ONNX file would give, without one."""

    def __init__(self):
        Teacher.__init__(self, "model.onnx", embedding_dim=8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"teacher": Foreign()}, "model.onnx is an ONNX model.*torch checkp"),
        (
            {"teacher": FakeTeacher(labels=None)},
            "the teacher fake has no module 'embedding_model.asp.conv'",
        ),
        (
            {"student_len": [0.2, 0.3]},
            "hears a part .* frames of asp.conv, .* do not correspond",
        ),
        (
            {"terms": {"gates": ChannelGates("mfa", "embedding_model.mfa")}},
            "the student's mfa gives frames",
        ),
        (
            {"terms": {"frames": FrameFeatures("mfs", "embedding_model.mfa")}},
            "the student's embedding_model has no module 'mfs'.*mfa",
        ),
    ],
)
def test_what_does_not_fit(given, message):
    with pytest.raises(ValueError, match=message):
        inside_brain(**given)


def test_gates_of_a_part_of_the_crop():
    terms = {"gates": hidden_terms()["gates"]}
    brain = inside_brain(terms=terms, student_len=[0.2, 0.3])
    brain.on_fit_start()
    assert step(brain, make_batch())[1].isfinite()


def test_stored_views_are_refused():
    brain = inside_brain()
    brain.stores = {8000: None}
    message = "FrameFeatures, .* views know nothing: set teacher_views: 0"
    with pytest.raises(ValueError, match=message):
        brain._join_teacher(None)
