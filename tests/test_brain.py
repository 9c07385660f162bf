"""The Brain step by step: what is compared with what, and what is summed."""

import math
from types import SimpleNamespace

import pytest
import speechbrain as sb
import torch
from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.time_domain import DropFreq
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.lobes.models.Xvector import Xvector
from speechbrain.nnet.losses import (
    AdditiveAngularMargin,
    LogSoftmaxWrapper,
    classification_error,
)
from speechbrain.processing.features import InputNormalization
from speechbrain.utils.metric_stats import MetricStats

from speechbrain_kd.brain import DistillationBrain
from speechbrain_kd.evaluation.metrics import eer
from speechbrain_kd.experiment_keys import DEFAULTS
from speechbrain_kd.losses import (
    CosineEmbedding,
    DistillationObjective,
    PosteriorKL,
)
from speechbrain_kd.teachers.base import Teacher

SPEAKERS = ["ann", "bob", "cat", "dan"]
CPU = {"device": "cpu", "noprogressbar": True}


class FakeTeacher(Teacher):
    """Linear in a few samples of the waveform; remembers what it heard."""

    def __init__(self, labels=SPEAKERS, dim=8):
        super().__init__(
            "fake", embedding_dim=dim, labels=labels, cosine_logits=True
        )
        draw = torch.Generator().manual_seed(3)
        weight = torch.randn(100, dim, generator=draw)
        self.weight = torch.nn.Parameter(weight)
        self.heard = []
        self.freeze()

    def encode(self, wavs, lens):
        self.heard.append(wavs.clone())
        return wavs[:, :100] @ self.weight

    def classify(self, embeddings):
        if self.labels is None:
            return None
        cosines = torch.nn.functional.normalize(embeddings, dim=1)
        return cosines[:, : len(self.labels)]


def objective(**weights):
    """Both terms, or what is named."""
    terms = {"posteriors": PosteriorKL(), "embedding": CosineEmbedding()}
    given = {"classification": 0.5, "posteriors": 2.0, "embedding": 3.0}
    given |= weights
    return DistillationObjective(
        {name: terms[name] for name in terms if given[name] is not None},
        {name: weight for name, weight in given.items() if weight is not None},
    )


def make_brain(run_opts=None, speakers=SPEAKERS, **replaced):
    """A Brain without a yaml, on 24 mel bins."""
    torch.manual_seed(1)
    encoder = Xvector(
        in_channels=24,
        tdnn_blocks=2,
        tdnn_channels=[8, 16],
        tdnn_kernel_sizes=[5, 1],
        tdnn_dilations=[1, 1],
        lin_neurons=8,
    )
    modules = {
        "compute_features": Fbank(n_mels=24),
        "mean_var_norm": InputNormalization(
            norm_type="sentence", std_norm=False
        ),
        "embedding_model": encoder,
        "classifier": Classifier(8, out_neurons=len(SPEAKERS)),
    }
    loss = LogSoftmaxWrapper(AdditiveAngularMargin(margin=0.2, scale=30))
    hparams = DEFAULTS | modules
    hparams |= {
        "seed": 1,
        "modules": modules,
        "compute_cost": loss,
        "opt_class": lambda params: torch.optim.SGD(params, lr=0.01),
        "error_stats": lambda: MetricStats(
            metric=lambda *given: classification_error(
                *given, reduction="batch"
            )
        ),
    }
    hparams |= replaced
    brain = DistillationBrain(
        hparams, CPU | (run_opts or {}), speakers=speakers
    )
    brain.epoch, brain.step = 1, 1
    return brain


def make_batch(labels=(0, 1, 2, 3), seconds=0.5):
    """Noise, equally long."""
    draw = torch.Generator().manual_seed(5)
    return PaddedBatch(
        [
            {
                "id": f"{SPEAKERS[label]}/{row}",
                "sig": torch.randn(int(16000 * seconds), generator=draw),
                "spk_id_encoded": torch.tensor([label]),
            }
            for row, label in enumerate(labels)
        ]
    )


def step(brain, batch, stage=sb.Stage.TRAIN):
    """Forward and objectives of one batch."""
    brain.on_stage_start(stage, 1)
    brain.modules.train(stage == sb.Stage.TRAIN)
    with torch.set_grad_enabled(stage == sb.Stage.TRAIN):
        predictions = brain.compute_forward(batch, stage)
        loss = brain.compute_objectives(predictions, batch, stage)
    return predictions, loss


def test_the_sum_by_hand():
    brain = make_brain(teacher=FakeTeacher(), distillation=objective())
    batch = make_batch()
    predictions, loss = step(brain, batch)
    ours, theirs = predictions.embeddings, predictions.teacher["embeddings"]
    cosine = 1 - torch.cosine_similarity(ours, theirs).mean()
    term = brain.hparams.distillation.terms["posteriors"]
    student, teacher = (
        (term.scale / term.temperature * logits).softmax(-1)
        for logits in (
            predictions.logits.squeeze(1),
            predictions.teacher["logits"],
        )
    )
    divergence = (teacher * (teacher / student).log()).sum(1).mean()
    divergence = divergence * term.temperature**2
    labels = batch.spk_id_encoded.data
    classification = brain.hparams.compute_cost(predictions.logits, labels)
    expected = 0.5 * classification + 2 * divergence + 3 * cosine
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)
    means = brain.term_means()
    assert means["embedding"] == pytest.approx(cosine.item(), abs=1e-3)
    assert means["posteriors"] == pytest.approx(divergence.item(), rel=1e-3)


def test_gradients_reach_the_student_alone():
    teacher = FakeTeacher()
    brain = make_brain(teacher=teacher, distillation=objective())
    step(brain, make_batch())[1].backward()
    assert teacher.weight.grad is None
    for name in ("embedding_model", "classifier"):
        grads = [p.grad for p in brain.modules[name].parameters()]
        assert all(grad is not None for grad in grads)
        assert any(grad.abs().sum() > 0 for grad in grads)


def test_the_teacher_hears_the_augmented_waveforms():
    augment = Augmenter(
        parallel_augment=True,
        concat_original=True,
        min_augmentations=1,
        max_augmentations=1,
        augmentations=[DropFreq(drop_freq_count_low=2)],
    )
    teacher = FakeTeacher()
    brain = make_brain(
        teacher=teacher, distillation=objective(), wav_augment=augment
    )
    features = []
    brain.fast_features.register_forward_hook(
        lambda module, given, output: features.append(given[0].clone())
    )
    batch = make_batch()
    predictions, loss = step(brain, batch)
    (heard,) = teacher.heard
    assert torch.equal(heard, features[-1])
    assert torch.equal(heard[:4], batch.sig.data)
    assert heard.shape == (8, 8000)
    assert not torch.equal(heard[4:], heard[:4])
    assert predictions.embeddings.shape == (8, 8)
    assert loss.isfinite()


def test_features_are_augmented_for_the_student_alone():
    """The teacher's waveforms, and validation, stay as they are."""

    class Loud(torch.nn.Module):
        def forward(self, feats, lens):
            return 2 * feats[:, 5:], lens

    teacher = FakeTeacher()
    brain = make_brain(
        teacher=teacher, distillation=objective(), fea_augment=Loud()
    )
    given = []
    brain.modules.embedding_model.register_forward_pre_hook(
        lambda module, args: given.append(args[0].clone())
    )
    batch = make_batch()
    step(brain, batch)[1].backward()
    feats = brain.features(batch.sig.data)
    assert torch.equal(given[-1], 2 * feats[:, 5:])
    assert torch.equal(teacher.heard[0], batch.sig.data)
    step(brain, batch, sb.Stage.VALID)
    assert torch.equal(given[-1], feats)


def test_validation_asks_no_teacher_and_augments_nothing():
    def augment(*given):
        raise AssertionError("validation is not augmented")

    teacher = FakeTeacher()
    brain = make_brain(
        teacher=teacher, distillation=objective(), wav_augment=augment
    )
    predictions, loss = step(brain, make_batch(), sb.Stage.VALID)
    assert not teacher.heard and predictions.teacher == {}
    cost = brain.hparams.compute_cost
    labels = torch.tensor([[0], [1], [2], [3]])
    assert loss.item() == pytest.approx(
        cost(predictions.logits, labels).item(), rel=1e-5
    )


def test_validation_eer_is_that_of_the_embeddings():
    brain = make_brain()
    batch = make_batch(labels=(0, 0, 0, 1, 1, 1, 2, 2))
    predictions, _ = step(brain, batch, sb.Stage.VALID)
    unit = torch.nn.functional.normalize(predictions.embeddings, dim=1)
    scores = unit @ unit.T
    labels = batch.spk_id_encoded.data[:, 0]
    first, second = torch.triu_indices(8, 8, offset=1)
    same = labels[first] == labels[second]
    pairs = scores[first, second]
    expected = eer(pairs[same].numpy(), pairs[~same].numpy())
    assert brain.verification_eer() == pytest.approx(expected, abs=1e-6)


def test_validation_eer_with_more_than_ten_speakers():
    """Class 10 comes before class 2 by name: each row must stay its own's."""
    brain = make_brain()
    brain.on_stage_start(sb.Stage.VALID, 1)
    for label in range(12):
        for number in range(2 + label % 3):
            row = torch.nn.functional.one_hot(torch.tensor(label), 12).float()
            name = f"id{label:03d}/{number}"
            brain.embedded[name] = (row, torch.tensor(label))
    assert brain.verification_eer() == 0


def test_no_eer_where_no_speaker_has_two(caplog):
    brain = make_brain()
    step(brain, make_batch(), sb.Stage.VALID)
    with caplog.at_level("WARNING"):
        assert math.isnan(brain.verification_eer())
    assert "No EER on the validation utterances" in caplog.text


def test_no_eer_still_keeps_checkpoints():
    kept = []
    brain = make_brain()
    brain.checkpointer = SimpleNamespace(
        save_and_keep_only=lambda **given: kept.append(given)
    )
    brain.optimizer = torch.optim.SGD(brain.modules.parameters(), lr=0.1)
    brain.train_stats = {"loss": 1.0}
    for epoch in (1, 2):
        step(brain, make_batch(), sb.Stage.VALID)
        brain.on_stage_end(sb.Stage.VALID, 1.0, epoch)
    first, second = (given["meta"]["selection"] for given in kept)
    assert second < first <= 1.0  # the later epoch is preferred


def test_utterances_without_a_label():
    brain = make_brain(
        teacher=FakeTeacher(),
        distillation=objective(),
        unlabelled_folder="elsewhere",
    )
    batch = make_batch(labels=(0, 1, 2, 3))
    batch.spk_id_encoded.data[1:3] = -1
    predictions, loss = step(brain, batch)
    known = torch.tensor([0, 3])
    cost, terms = brain.hparams.compute_cost, brain.hparams.distillation.terms
    logits = predictions.logits[known]
    expected = (
        0.5 * cost(logits, batch.spk_id_encoded.data[known])
        + 2
        * terms["posteriors"](
            logits.squeeze(1), predictions.teacher["logits"][known]
        )
        + 3
        * terms["embedding"](
            predictions.embeddings, predictions.teacher["embeddings"]
        )
    )
    torch.testing.assert_close(loss, expected)
    loss.backward()


def test_without_labels():
    brain = make_brain(
        teacher=FakeTeacher(labels=None),
        distillation=objective(posteriors=None),
        compute_cost=None,
    )
    one = step(brain, make_batch(labels=(0, 1, 2, 3)))[1]
    other = step(brain, make_batch(labels=(3, 3, 0, 0)))[1]
    # The x-vector adds a trace of noise to its means: equal but for that.
    torch.testing.assert_close(one, other)
    assert set(brain.term_means()) == {"embedding"}
    _, loss = step(brain, make_batch(), sb.Stage.VALID)
    assert loss.item() == 0 and brain.error_metrics is None


def test_a_plain_run_has_the_classification_loss_alone():
    brain = make_brain()
    batch = make_batch()
    predictions, loss = step(brain, batch)
    expected = brain.hparams.compute_cost(
        predictions.logits, batch.spk_id_encoded.data
    )
    torch.testing.assert_close(loss, expected)
    assert brain.teacher is None
    assert set(brain.term_means()) == {"classification"}


def test_a_projector_where_dimensions_differ():
    brain = make_brain(teacher=FakeTeacher(dim=12), distillation=objective())
    assert brain.modules.distillation.projector.weight.shape == (12, 8)
    assert step(brain, make_batch())[1].isfinite()


def test_ramps_follow_the_progress():
    terms = DistillationObjective(
        {"embedding": CosineEmbedding()},
        {"classification": 0.0, "embedding": 10.0},
        warmup_epochs=2,
    )
    brain = make_brain(teacher=FakeTeacher(), distillation=terms)
    brain.steps_per_epoch = 4
    brain.step = 3
    _, loss = step(brain, make_batch())
    plain = brain.term_sums["embedding"][0]
    torch.testing.assert_close(loss.detach(), 10 * 0.25 * plain)


def test_bf16_leaves_the_teacher_in_fp32():
    dtypes = []
    brain = make_brain(teacher=FakeTeacher(), distillation=objective())
    brain.modules.embedding_model.blocks[0].register_forward_hook(
        lambda module, given, output: dtypes.append(output.dtype)
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predictions, loss = step(brain, make_batch())
    assert dtypes == [torch.bfloat16]
    assert predictions.teacher["embeddings"].dtype == torch.float32
    assert loss.dtype == torch.float32 and loss.isfinite()
    loss.backward()


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"teacher": None}, "teacher is null"),
        ({"teacher": FakeTeacher(labels=None)}, "a teacher with a classifier"),
        ({"teacher": FakeTeacher(labels=["eve"] * 1)}, "share no speaker"),
    ],
)
def test_what_does_not_fit(replaced, message):
    with pytest.raises(ValueError, match=message):
        make_brain(distillation=objective(), **replaced)


def test_label_level_terms_need_the_students_classifier():
    with pytest.raises(ValueError, match="classifier: null"):
        make_brain(
            teacher=FakeTeacher(), distillation=objective(), classifier=None
        )


@pytest.mark.parametrize("lengths", [(1.0, 1.0), (1.0, 0.5)])
def test_embedding_a_padded_batch_embeds_each_alone(lengths):
    brain = make_brain()
    brain.modules.eval()
    wavs = torch.randn(2, 16000, generator=torch.Generator().manual_seed(2))
    samples = [int(16000 * length) for length in lengths]
    padded = wavs.clone()
    padded[1, samples[1] :] = 0
    got = brain.embed(padded, torch.tensor(lengths))
    assert got.shape == (2, 8)
    alone = brain.embed(wavs[:1])
    torch.testing.assert_close(got[:1], alone, atol=1e-4, rtol=1e-4)
