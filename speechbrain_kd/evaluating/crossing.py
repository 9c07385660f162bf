"""Error rates where one system enrols and another verifies."""

from collections.abc import Mapping
from itertools import product

from speechbrain_kd.evaluating.scoring import Scoring
from speechbrain_kd.evaluating.systems import System
from speechbrain_kd.evaluation.evaluation import CrossMatrix
from speechbrain_kd.evaluation.metrics import eer
from speechbrain_kd.evaluation.trials import TrialList


def cross_matrix(
    name: str,
    systems: Mapping[str, System],
    trials: TrialList,
    scoring: Scoring,
) -> CrossMatrix:
    """Error rates of each pair that has embeddings of one size.

    Arguments
    ---------
    name : str
        Name of the list.
    systems : Mapping[str, System]
        By name, embedded.
    trials : TrialList
        The trials.
    scoring : Scoring
        How, but for a PLDA, which knows one system's embeddings.

    Returns
    -------
    CrossMatrix
        With the pairs that were skipped.
    """
    found = CrossMatrix(name, list(systems), {one: {} for one in systems})
    for enrol, test in product(systems, systems):
        one, other = systems[enrol], systems[test]
        sizes = one.rows.shape[1], other.rows.shape[1]
        if sizes[0] == sizes[1]:
            scores = one.score(trials, scoring, other)
            found.eer[enrol][test] = eer(*trials.split(scores))
        elif found.systems.index(enrol) < found.systems.index(test):
            found.skipped.append(
                f"{enrol} ({sizes[0]} dimensions) with {test} ({sizes[1]})"
            )
    return found
