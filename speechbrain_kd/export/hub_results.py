"""What a finished run measured, with intervals, for those who were not there.

The report of a run holds its rates, its costs and the machine; its scores say
how sure the rates are. Both must be of one evaluation.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speechbrain_kd.evaluation.certainty import Interval, speaker_bootstrap
from speechbrain_kd.evaluation.results import measure
from speechbrain_kd.evaluation.score_files import read_scored_trials
from speechbrain_kd.evaluation.speakers import speakers_of
from speechbrain_kd.evaluation.trials import TrialList

#: Statistics that a card gives with an interval; minDCF at a prior of 0.01.
STATISTICS = ("eer", "min_dcf")

# Rates of one evaluation differ by what nine digits of a score leave.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class HubResults:
    """Rates, costs and how sure they are.

    Arguments
    ---------
    systems : Mapping[str, Mapping[str, Any]]
        By system (student, teacher), as ``report/results.json`` has them:
        rates as fractions, GMAC of 2 s, milliseconds for 1 s of speech.
    intervals : Mapping[str, Mapping[str, Interval]]
        By system and statistic, for the systems whose scores are there.
    trials : Mapping[str, int]
        How many: ``target``, ``impostor`` and ``total``.
    speakers : int | None
        How many speakers the trials have; None where no scores are there.
    trials_sha256 : str | None
        Of the list as it was scored, ``label enrol test`` lines.
    machine : str
        What the costs were measured on.
    date : str
        When, in ISO 8601.
    """

    systems: Mapping[str, Mapping[str, Any]]
    intervals: Mapping[str, Mapping[str, Interval]]
    trials: Mapping[str, int]
    speakers: int | None
    trials_sha256: str | None
    machine: str
    date: str

    def to_dict(self) -> dict[str, Any]:
        """All of it for JSON."""
        return asdict(self)


@dataclass
class _Scores:
    """What a file of scores holds."""

    trials: TrialList
    scores: np.ndarray
    speakers: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.speakers = speakers_of(self.trials)

    def sha256(self) -> str:
        """Of the trial list."""
        names, digest = self.trials.utterances, hashlib.sha256()
        columns = self.trials.labels, self.trials.enrol, self.trials.test
        for label, enrol, test in zip(*columns, strict=True):
            line = f"{int(label)} {names[enrol]} {names[test]}\n"
            digest.update(line.encode())
        return digest.hexdigest()


def read_results(run: Path, draws: int = 1000) -> HubResults | None:
    """Reads what a run measured.

    Arguments
    ---------
    run : Path
        The run folder.
    draws : int
        Of the bootstrap over speakers that makes the intervals.

    Returns
    -------
    HubResults | None
        None for a run without trials, which has no report.

    Raises
    ------
    ValueError
        If the report is none, or its rates are not those of the scores.

    Example
    -------
    >>> read_results(Path("no/such/run")) is None
    True
    """
    path = run / "report" / "results.json"
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        systems, trials = dict(facts["systems"]), dict(facts["trials"])
        machine, date = str(facts["machine"]), str(facts["date"])
        rates = {name: float(one["eer"]) for name, one in systems.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: expected the report of a run, got {error!r}"
        ) from None
    known, intervals = None, {}
    for name, rate in rates.items():
        suffix = "_teacher" if name == "teacher" else ""
        file = run / f"scores{suffix}.txt"
        if file.is_file():
            known = _Scores(*read_scored_trials(file))
            _check(file, known, rate)
            intervals[name] = _intervals(known, draws)
    return HubResults(
        systems,
        intervals,
        trials,
        None if known is None else int(np.unique(known.speakers).size),
        None if known is None else known.sha256(),
        machine,
        date,
    )


def _check(path: Path, known: _Scores, rate: float) -> None:
    """Raises where scores and report are not of one evaluation."""
    found = measure(*known.trials.split(known.scores)).eer
    if not abs(found - rate) <= _TOLERANCE:
        raise ValueError(
            f"{path} gives an EER of {found:.4%} where report/results.json "
            f"says {rate:.4%}: they are not of one evaluation; run it again"
        )


def _intervals(known: _Scores, draws: int) -> dict[str, Interval]:
    """By statistic, over speakers."""
    return {
        statistic: speaker_bootstrap(
            *(known.scores, known.trials, known.speakers, statistic),
            draws=draws,
        )
        for statistic in STATISTICS
    }
