"""From the scores of systems to results, differences and the cross matrix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from speechbrain_kd.evaluation.certainty import (
    paired_difference,
    speaker_bootstrap,
)
from speechbrain_kd.evaluation.evaluation import ListResult, PairedTest
from speechbrain_kd.evaluation.likelihood import act_dcf, cllr, hull_cllr
from speechbrain_kd.evaluation.metrics import OperatingPoints
from speechbrain_kd.evaluation.trials import TrialList

STATISTICS = ("eer", "min_dcf")


@dataclass(frozen=True)
class Measures:
    """What is measured on every list.

    Arguments
    ---------
    p_target : tuple[float, ...]
        Priors of a target trial; intervals are made at the first.
    fmr : tuple[float, ...]
        False match rates at which the true match rate is given.
    draws : int
        Draws of the bootstrap; 0 makes no intervals and no tests.
    level : float
        Of the intervals.
    seed : int
        Of the draws.
    """

    p_target: tuple[float, ...] = (0.01, 0.05)
    fmr: tuple[float, ...] = (0.001, 0.01, 0.1)
    draws: int = 1000
    level: float = 0.95
    seed: int = 0

    def resampling(self, statistic: str) -> dict[str, object]:
        """Arguments of the bootstrap of a statistic."""
        return {
            "statistic": statistic,
            "p_target": self.p_target[0],
            "draws": self.draws,
            "level": self.level,
            "seed": self.seed,
        }


def measure_list(
    scores: np.ndarray,
    trials: TrialList,
    speakers: np.ndarray,
    measures: Measures,
    llrs: np.ndarray | None = None,
) -> ListResult:
    """Measures a system on a list.

    Arguments
    ---------
    scores : np.ndarray
        [trials].
    trials : TrialList
        The trials.
    speakers : np.ndarray
        Number of the speaker of each utterance, [utterances].
    measures : Measures
        What to measure.
    llrs : np.ndarray | None
        Scores as log-likelihood ratios by a calibration made on other trials,
        [trials]; None leaves out what needs one.

    Returns
    -------
    ListResult
        The result. ValueError where all trials are of one class.
    """
    target, impostor = trials.split(scores)
    points = OperatingPoints(target, impostor)
    intervals = [
        speaker_bootstrap(
            scores, trials, speakers, **measures.resampling(statistic)
        )
        if measures.draws
        else None
        for statistic in STATISTICS
    ]
    used = np.unique(np.concatenate([trials.enrol, trials.test]))
    rate, threshold = points.eer_threshold()
    costs = {p: points.min_dcf(p, 1.0, 1.0) for p in measures.p_target}
    actual, bits = None, None
    if llrs is not None:
        both = trials.split(llrs)
        actual = {
            p: act_dcf(*both, p_target=p, c_miss=1.0, c_fa=1.0)
            for p in measures.p_target
        }
        bits = cllr(*both)
    return ListResult(
        trials=len(trials),
        target_trials=len(target),
        impostor_trials=len(impostor),
        speakers=len(np.unique(speakers[used])),
        eer=rate,
        eer_interval=intervals[0],
        rocch_eer=points.rocch_eer(),
        min_dcf=costs,
        min_dcf_interval=intervals[1],
        act_dcf=actual,
        cllr=bits,
        min_cllr=hull_cllr(points),
        tmr=dict(
            zip(measures.fmr, points.tmr_at_fmr(measures.fmr), strict=True)
        ),
        auc=points.auc(),
        threshold=threshold,
    )


def compare(
    name: str,
    scores: Mapping[str, np.ndarray],
    trials: TrialList,
    speakers: np.ndarray,
    reference: str,
    measures: Measures,
) -> list[PairedTest]:
    """Tests every system against the reference on the same speakers.

    Arguments
    ---------
    name : str
        Name of the list.
    scores : Mapping[str, np.ndarray]
        By system, [trials].
    trials : TrialList
        The trials.
    speakers : np.ndarray
        Number of the speaker of each utterance, [utterances].
    reference : str
        The system that the others are compared with.
    measures : Measures
        How to resample.

    Returns
    -------
    list[PairedTest]
        Two a system; none without draws.
    """
    found = []
    others = [system for system in scores if system != reference]
    for system, statistic in product(others, STATISTICS):
        if measures.draws:
            difference = paired_difference(
                scores[system],
                scores[reference],
                trials,
                speakers,
                **measures.resampling(statistic),
            )
            values = {
                field: getattr(difference, field)
                for field in ("value", "low", "high", "p_value", "significant")
            }
            found.append(
                PairedTest(name, system, reference, statistic, **values)
            )
    return found


def find_test(
    tests: Sequence[PairedTest], name: str, system: str, statistic: str
) -> PairedTest | None:
    """Finds the test of a system on a list.

    Arguments
    ---------
    tests : Sequence[PairedTest]
        Of all lists and systems.
    name : str
        The list.
    system : str
        The system.
    statistic : str
        ``"eer"`` or ``"min_dcf"``.

    Returns
    -------
    PairedTest | None
        None for the reference, and where nothing was tested.
    """
    wanted = (name, system, statistic)
    for test in tests:
        if (test.list, test.system, test.statistic) == wanted:
            return test
    return None
