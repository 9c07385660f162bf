"""Terms learn of the teacher before the training."""

from types import SimpleNamespace

import pytest
import torch

from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.data.table import ManifestTable
from speechbrain_kd.lessons import (
    FOLDER,
    SECONDS,
    UTTERANCES_PER_SPEAKER,
    teach_objective,
)
from speechbrain_kd.losses import (
    CosineEmbedding,
    CosineGram,
    DistillationObjective,
    TeacherCentres,
)
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.heard import Heard


class Levels(Teacher):
    """Loudness of three parts of an utterance; counts what it hears."""

    def __init__(self):
        super().__init__("levels", embedding_dim=3)
        self._asked = 0

    def encode(self, wavs, lens):
        self._asked += len(wavs)
        return torch.stack([p.std(dim=1) for p in wavs.chunk(3, dim=1)], dim=1)


@pytest.fixture
def run(tiny_corpus, tmp_path):
    """What a run of a centred and another term has; teaches them."""
    corpus = prepare_corpus(tiny_corpus, tmp_path / "save", progressbar=False)
    options = {"device": "cpu", "noprogressbar": True}

    def teach(terms, teacher=None):
        weights = dict.fromkeys(["classification", *terms], 1.0)
        hparams = {
            "teacher": teacher,
            "distillation": DistillationObjective(terms, weights),
            "store_folder": tmp_path / "store",
            "dataloader_options": {},
        }
        teach_objective(hparams, corpus, options)
        return hparams["distillation"].terms

    return SimpleNamespace(
        corpus=corpus, teach=teach, learned=tmp_path / "store" / FOLDER
    )


def test_a_term_learns_of_training_utterances(run):
    teacher = Levels().freeze()
    terms = run.teach(
        {"embedding": CosineEmbedding(centre=True), "gram": CosineGram()},
        teacher,
    )
    table = ManifestTable.from_csv(run.corpus.train_csv, run.corpus.data_root)
    heard = Heard(table, run.learned, progressbar=False)
    some = heard.some(UTTERANCES_PER_SPEAKER, SECONDS)
    rows = some.embeddings(teacher)
    assert teacher._asked == len(table) == len(rows)
    expected = torch.nn.functional.normalize(rows, dim=-1).mean(dim=0)
    assert torch.allclose(terms["embedding"].mean, expected, atol=1e-6)


def test_terms_of_classes_learn_whose_utterances_they_are(run):
    teacher = Levels().freeze()
    term = run.teach({"centres": TeacherCentres()}, teacher)["centres"]
    table = ManifestTable.from_csv(run.corpus.train_csv, run.corpus.data_root)
    heard = Heard(table, run.learned, progressbar=False)
    some = heard.some(UTTERANCES_PER_SPEAKER, SECONDS)
    unit = torch.nn.functional.normalize(some.embeddings(teacher), dim=-1)
    assert len(term.rows) == len(set(some.speakers)) > 2
    for row, speaker in zip(term.rows, sorted(set(some.speakers)), strict=True):
        mine = torch.tensor([name == speaker for name in some.speakers])
        mean = unit[mine].mean(dim=0)
        assert torch.allclose(row, mean / mean.norm(), atol=1e-6)


def test_a_later_run_reads_what_was_asked(run):
    first, later = Levels().freeze(), Levels().freeze()
    terms = {"embedding": CosineEmbedding(centre=True, whiten=True)}
    one = run.teach(terms, first)["embedding"]
    terms = {"embedding": CosineEmbedding(centre=True, whiten=True)}
    other = run.teach(terms, later)["embedding"]
    assert first._asked and not later._asked
    assert torch.equal(one.mean, other.mean)
    assert torch.equal(one.whitening, other.whitening)


def test_nobody_is_asked_for_terms_that_do_not_learn(run):
    teacher = Levels().freeze()
    run.teach({"embedding": CosineEmbedding(), "gram": CosineGram()}, teacher)
    assert not teacher._asked and not run.learned.exists()
    run.teach({"embedding": CosineEmbedding(centre=True)}, teacher=None)
    assert not run.learned.exists()
