"""Training with class centres, balance, parts, unlabelled rows, an average.

As a program: ``python centred_ranks.py FOLDER RANK WORLD``; what the run became as
one of two ranks is saved in the folder.
"""

import rank_jobs
import speechbrain as sb
import torch
from apart import be_a_rank
from rank_jobs import CLASSES, GLOBAL_BATCH, FakeTeacher
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.utils.epoch_loop import EpochCounter
from test_brain import make_brain

from speechbrain_kd.averaging import WeightAverage
from speechbrain_kd.distributed import ranks
from speechbrain_kd.losses import (
    CentreCosines,
    CentrePosteriors,
    CosineEmbedding,
    DistillationObjective,
    PosteriorKL,
    TeacherCentres,
)

_DIM = 12  # of the teacher: there is a projector
_UTTERANCES = 80


class SomeUnlabelled(rank_jobs.Noise):
    """Of every third utterance nobody knows the speaker."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        label = -1 - index if index % 3 == 2 else index % CLASSES
        return item | {"spk_id_encoded": torch.tensor([label])}


def objective():
    """Terms of labels, of embeddings and of classes, balanced."""
    draw = torch.Generator().manual_seed(2)
    terms = {
        "posteriors": PosteriorKL(temperature=[4, 2, 0, 2]),
        "embedding": CosineEmbedding(),
        "following": TeacherCentres("following"),
        "trained": TeacherCentres("trained", margin=[0, 0.2, 0, 2]),
        "mean": TeacherCentres("mean"),
        "voices": CentrePosteriors(),
        "cosines": CentreCosines(),
    }
    for name in ("following", "trained"):  # the last class is unheard
        rows = torch.randn(9, _DIM, generator=draw)
        terms[name].learn(rows, torch.arange(9) % (CLASSES - 1))
    weights = dict.fromkeys(["classification", *terms], 0.5)
    made = DistillationObjective(terms, weights, balance="gradient_norm")
    made.unlabelled = _UTTERANCES
    return made


def brain_of() -> sb.Brain:
    """A Brain with a small ECAPA that notes its losses."""
    torch.manual_seed(0)
    modules = rank_jobs.small_modules()
    brain = make_brain(
        modules=modules,
        **modules,
        teacher=FakeTeacher(dim=_DIM),
        distillation=objective(),
        unlabelled_folder="elsewhere",
        student_len=[0.1, 0.2],
        average=WeightAverage(decay=0.7),
        opt_class=lambda params: torch.optim.SGD(params, lr=5e-4),
        epoch_counter=EpochCounter(limit=2),
    )
    brain.step, brain.losses = 0, []
    end = brain.on_fit_batch_end

    def note(batch, outputs, loss, should_step):
        end(batch, outputs, loss, should_step)
        brain.losses.append(float(loss.detach()))

    brain.on_fit_batch_end = note
    brain._log = lambda stats, epoch, lr: None
    return brain


def train(brain: sb.Brain) -> dict:
    """Two epochs of ten steps; losses, the mean, raw weights, the objective."""
    loading = {"collate_fn": PaddedBatch}
    brain.fit(
        brain.hparams.epoch_counter,
        SomeUnlabelled(_UTTERANCES, seed=1),
        rank_jobs.Noise(12, seed=2),
        train_loader_kwargs=loading
        | {"batch_size": GLOBAL_BATCH // ranks()[1], "shuffle": True},
        valid_loader_kwargs=loading | {"batch_size": 3},
    )
    average = brain.hparams.average
    assert average.is_in and average.steps == 20
    states = {
        "mean": brain.hparams.embedding_model.state_dict(),
        "raw": average._other,
        "objective": brain.hparams.distillation.state_dict(),
    }
    return {"losses": brain.losses} | {
        name: {key: value.clone() for key, value in state.items()}
        for name, state in states.items()
    }


if __name__ == "__main__":
    be_a_rank(lambda folder: train(brain_of()))
