"""Systems: loaded, embedded through the cache, scored and calibrated."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from speechbrain_kd.assess import add_teacher_costs
from speechbrain_kd.evaluating.inputs import CohortFiles
from speechbrain_kd.evaluating.scoring import Scoring
from speechbrain_kd.evaluation.audio_digests import AudioDigests
from speechbrain_kd.evaluation.cost import time_per_second
from speechbrain_kd.evaluation.embedding_cache import EmbeddingCache
from speechbrain_kd.evaluation.enrolment import pool_enrolments
from speechbrain_kd.evaluation.evaluation import SystemFacts
from speechbrain_kd.evaluation.filling import embed_cached
from speechbrain_kd.evaluation.normalisation import Cohort, centre, normalise
from speechbrain_kd.evaluation.plda import PldaScorer
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.seen import Learner
from speechbrain_kd.evaluation.trials import TrialList
from speechbrain_kd.learners import as_itself, described, met_by
from speechbrain_kd.model_sources import (
    ModelSource,
    load_model,
    on_one_thread,
    run_folder,
)
from speechbrain_kd.teachers import OnnxTeacher, Teacher


@dataclass
class System:
    """A model with the embeddings of all that the lists name.

    Arguments
    ---------
    facts : SystemFacts
        What it is and costs.
    model : Teacher
        The model.
    met : list[Learner]
        Whom it has met, itself and through its teachers.
    places : dict[str, int]
        The row of each utterance.
    rows : np.ndarray
        Embeddings, [utterances, dim], float32.
    cohort : Cohort | None
        The cohort as this model embeds it.
    plda : PldaScorer | None
        Trained on the cohort's utterances, where it is asked for.
    heard : np.ndarray
        The cohort's utterances, [utterances, dim], float32.
    heard_speakers : Sequence[str]
        The speaker of each.
    """

    facts: SystemFacts
    model: Teacher
    met: list[Learner] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    rows: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    cohort: Cohort | None = None
    plda: PldaScorer | None = None
    heard: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    heard_speakers: Sequence[str] = ()

    def rows_of(self, trials: TrialList) -> np.ndarray:
        """Embeddings of what a list compares, models pooled.

        Arguments
        ---------
        trials : TrialList
            The trials.

        Returns
        -------
        np.ndarray
            A row for each of ``trials.utterances``.
        """
        rows = self.rows[[self.places[name] for name in trials.recordings]]
        return pool_enrolments(rows, trials)

    def score(
        self,
        trials: TrialList,
        scoring: Scoring,
        verifier: "System | None" = None,
    ) -> np.ndarray:
        """Scores a list.

        Arguments
        ---------
        trials : TrialList
            The trials.
        scoring : Scoring
            How.
        verifier : System | None
            What embeds the tests, where this one only enrols: cosines then,
            also where there is a PLDA. Each side is centred by its own cohort
            and normalised by its scores with the other's.

        Returns
        -------
        np.ndarray
            float32, [trials].
        """
        if self.plda is not None and verifier is None:
            scores = self.plda.score(self.rows_of(trials), trials)
            return np.asarray(scores, np.float32)
        rows, cohort = self._side(trials, scoring)
        if verifier is None:
            tested, theirs = None, None
            others = cohort
        else:
            tested, others = verifier._side(trials, scoring)
            theirs = cohort
        scores = cosine_scores(rows, trials, tested)
        if scoring.norm is not None:
            how = scoring.norm, scoring.top_k
            scores = normalise(
                scores, rows, trials, others, *how, tested, theirs
            )
        return np.asarray(scores, np.float32)

    def _side(
        self, trials: TrialList, scoring: Scoring
    ) -> tuple[np.ndarray, Cohort | None]:
        """Rows and cohort, centred where that is asked for."""
        rows, cohort = self.rows_of(trials), self.cohort
        if not scoring.centre:
            return rows, cohort
        return centre(rows, cohort.mean), cohort.centred(cohort.mean)


def load_system(source: ModelSource, device: str) -> System:
    """Loads a model and finds what it is.

    Arguments
    ---------
    source : ModelSource
        What to load.
    device : str
        Where to put it.

    Returns
    -------
    System
        Nothing embedded yet, costs not measured.
    """
    model = load_model(source, device)
    folder, met = run_folder(model), as_itself(met_by(model))
    facts = SystemFacts(
        name=source.name,
        source=model.source,
        params=None,
        gmac=None,
        bytes=None,
        ms_per_second=None,
        dim=model.embedding_dim,
        fingerprint=model.fingerprint(),
        trained_on=model.trained_on or described(met) or _data_of(folder),
        run_folder=None if folder is None else str(folder),
    )
    return System(facts, model, met)


def _data_of(folder: Path | None) -> list[str]:
    """The data that a run of ours says that it was trained on."""
    path = None if folder is None else folder / "hyperparams.yaml"
    if path is None or not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^data_folder:[ ]+([^\s#]+)", text, re.MULTILINE)
    return [Path(one).name for one in found[1].split(",")] if found else []


def add_costs(system: System, source: ModelSource) -> None:
    """Measures what a system costs, on one thread of the CPU.

    Arguments
    ---------
    system : System
        Its facts are filled in.
    source : ModelSource
        What it was loaded from: an ONNX model is loaded once more, as only
        its maker decides on how many threads it runs.
    """
    add_teacher_costs(system.facts, system.model)
    if isinstance(system.model, OnnxTeacher):
        timed = on_one_thread(source, system.model)
        system.facts.ms_per_second = time_per_second(timed.embed)


def embed_system(
    system: System,
    files: Mapping[str, Path],
    cohort: CohortFiles | None,
    cache: Path,
    device: str,
    progressbar: bool,
    num_workers: int = 0,
    plda: bool = False,
) -> None:
    """Embeds all files, and those of the cohort, through the cache.

    Arguments
    ---------
    system : System
        Its rows and cohort are filled in.
    files : Mapping[str, Path]
        The file of each utterance.
    cohort : CohortFiles | None
        The utterances of the cohort.
    cache : Path
        Where all embeddings are kept.
    device : str
        Where the model is.
    progressbar : bool
        Whether to show one.
    num_workers : int
        Processes that read files.
    plda : bool
        Whether PLDA is trained on the cohort's utterances.
    """
    facts = system.facts
    store = EmbeddingCache(cache, facts.source, facts.fingerprint, facts.dim)
    digests = AudioDigests(cache / "audio.npy")
    options = {
        "device": device,
        "progressbar": progressbar,
        "num_workers": num_workers,
        "name": facts.name,
    }
    embed = system.model.embed
    ids, system.rows = embed_cached(embed, files, store, digests, **options)
    system.places = {name: row for row, name in enumerate(ids)}
    if cohort is not None:
        _, rows = embed_cached(embed, cohort.files, store, digests, **options)
        system.cohort = Cohort.from_utterances(rows, cohort.speakers)
        system.heard, system.heard_speakers = rows, cohort.speakers
        if plda:
            system.plda = PldaScorer().fit(rows, cohort.speakers)
