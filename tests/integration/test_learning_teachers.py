"""Runs whose teacher learns from the training set first."""

import pytest
import torch
from small_runs import (
    BOTH,
    EMBEDDING,
    arguments,
    different,
    distil,
    on_ranks,
    train_log,
    weights,
)

from speechbrain_kd.teachers import RunTeacher

VIEWS = ("--teacher_views=2", "--number_of_epochs=2")

_PROTOTYPES = """\
!new:speechbrain_kd.teachers.PrototypeTeacher
teacher: !include:{teacher}
utterances_per_speaker: 3
seconds: 0.6
"""

_ENSEMBLE = """\
!new:speechbrain_kd.teachers.EnsembleTeacher
teachers:
    - !include:{teacher}
    - !new:speechbrain_kd.teachers.PrototypeTeacher
      teacher: !include:{teacher}
combine: average
weights: eer
"""

_REDUCED = """\
!new:speechbrain_kd.teachers.ReducedTeacher
dim: 16
centre: True
teacher: !new:speechbrain_kd.teachers.EnsembleTeacher
    teachers:
        - !include:{teacher}
        - !include:{teacher}
    weights: eer
"""


@pytest.fixture
def prototypes(teacher, tmp_path):
    """A fragment: that run with prototypes."""
    path = tmp_path / "prototypes.yaml"
    path.write_text(_PROTOTYPES.format(teacher=teacher))
    return path


@pytest.fixture
def asked(monkeypatch):
    """How many waveforms the run was asked about, by their samples."""
    counts = {}
    encode = RunTeacher.encode

    def counting(self, wavs, lens):
        counts[wavs.shape[1]] = counts.get(wavs.shape[1], 0) + len(wavs)
        return encode(self, wavs, lens)

    monkeypatch.setattr(RunTeacher, "encode", counting)
    return counts


def test_prototypes_are_found_once_and_share_the_store(
    tiny_corpus, teacher, prototypes, tmp_path, watched, training_only, asked
):
    store = f"--store_folder={tmp_path / 'store'}"
    plain = tmp_path / "plain" / "run"
    distil(tiny_corpus, plain, teacher, *VIEWS, store, objective=EMBEDDING)
    assert asked[12800] == 2 * 24 and 9600 not in asked
    one = distil(
        tiny_corpus, tmp_path / "one" / "run", prototypes, *VIEWS, store
    )
    assert asked[12800] == 2 * 24 and asked[9600] == 3 * 6
    assert watched.brain.teacher.rows.shape == (6, 16)
    log = (one / "log.txt").read_text()
    assert "6 prototypes of 6 training speakers, by 18 utterances" in log
    targets = "targets for 6 of 6 training speakers, 24 of 24 utterances"
    assert targets in log
    two = distil(
        tiny_corpus, tmp_path / "two" / "run", prototypes, *VIEWS, store
    )
    assert asked[12800] == 2 * 24 and asked[9600] == 3 * 6
    assert not different(weights(one), weights(two))
    assert train_log(one)[-1]["train posteriors"] > 0


def test_an_ensemble_distils(
    tiny_corpus, teacher, tmp_path, watched, training_only
):
    fragment = tmp_path / "ensemble.yaml"
    fragment.write_text(_ENSEMBLE.format(teacher=teacher))
    folder = distil(tiny_corpus, tmp_path / "run", fragment, *VIEWS)
    first, last = train_log(folder)
    assert last["train embedding"] < first["train embedding"]
    taught = watched.brain.teacher
    assert taught.embedding_dim == 16 and taught.answer_dim == 32
    assert len(taught.labels) == 6 and sum(taught.weights) == pytest.approx(1)
    (store,) = watched.brain.stores.values()
    assert store.dim == 32
    term = watched.brain.hparams.distillation.terms["posteriors"]
    assert term.teacher_scale == 1.0
    log = (folder / "log.txt").read_text()
    assert "Ensemble: EER" in log and "Ensemble: weight" in log


def test_an_ensemble_in_the_students_dimensions(
    tiny_corpus, teacher, tmp_path, watched, training_only
):
    fragment = tmp_path / "reduced.yaml"
    fragment.write_text(_REDUCED.format(teacher=teacher))
    folder = distil(
        tiny_corpus, tmp_path / "run", fragment, *VIEWS, objective=EMBEDDING
    )
    first, last = train_log(folder)
    assert last["train embedding"] < first["train embedding"]
    (store,) = watched.brain.stores.values()
    assert store.dim == 32 and watched.brain.teacher.embedding_dim == 16
    objective = watched.brain.hparams.distillation
    assert isinstance(objective.projector, torch.nn.Identity)
    assert "16 of 32 dimensions, which hold" in (folder / "log.txt").read_text()


def test_two_ranks_have_the_same_prototypes(tiny_corpus, prototypes, tmp_path):
    script = tmp_path / "rank.py"
    script.write_text(
        "import os, sys, torch\n"
        "from speechbrain_kd import run\n"
        "brain, _, _ = run.ready(sys.argv[2:])\n"
        "torch.save(brain.teacher.rows, "
        "os.path.join(sys.argv[1], os.environ['RANK'] + '.pt'))\n"
    )
    given = arguments(
        *(tiny_corpus, tmp_path / "run", f"--teacher={prototypes}"),
        f"--distillation={BOTH}",
    )
    done = on_ranks(2, script, tmp_path, *given)
    assert done.returncode == 0, done.stderr
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in "01")
    assert one.shape == (6, 16) and torch.equal(one, other)
    learned = tmp_path / "store" / "learned"
    assert len(list(learned.glob("prototypes-*"))) == 1
