"""Error rates where one system enrols and another verifies.

As they are, where they share a space; or the enrolments mapped into the space of
the system that verifies, which any two systems can do for each other.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations, product

from speechbrain_kd.evaluating.scoring import Scoring
from speechbrain_kd.evaluating.systems import System
from speechbrain_kd.evaluation.cohort import Cohort
from speechbrain_kd.evaluation.evaluation import CrossMatrix
from speechbrain_kd.evaluation.mapping import SpaceMap
from speechbrain_kd.evaluation.metrics import eer
from speechbrain_kd.evaluation.trials import TrialList

#: By the system that enrols, and the one that verifies.
Maps = dict[tuple[str, str], SpaceMap]


def find_maps(systems: Mapping[str, System]) -> Maps:
    """From each system to each other, by the cohort's utterances.

    Arguments
    ---------
    systems : Mapping[str, System]
        By name, with the utterances of one cohort.

    Returns
    -------
    Maps
        One for each pair, both ways.
    """
    return {
        (enrol, test): map_between(systems[enrol], systems[test])
        for enrol, test in permutations(systems, 2)
    }


def map_between(enrols: System, verifies: System) -> SpaceMap:
    """From the system that enrols to the one that verifies."""
    names = [f"an utterance of {one}" for one in enrols.heard_speakers]
    return SpaceMap.fit(enrols.heard, verifies.heard, names)


def through(
    mapped: SpaceMap, enrols: System, verifies: System
) -> tuple[System, System]:
    """The two systems in one space, the second one's, less its mean.

    Arguments
    ---------
    mapped : SpaceMap
        From the first to the second.
    enrols, verifies : System
        With rows and cohorts.

    Returns
    -------
    tuple[System, System]
        With rows and cohorts of that space.
    """
    moved = zip((enrols, verifies), (mapped.apply, mapped.place), strict=True)
    one, other = (
        replace(
            system,
            rows=move(system.rows),
            cohort=Cohort.from_utterances(
                move(system.heard), system.heard_speakers
            ),
        )
        for system, move in moved
    )
    return one, other


def cross_matrix(
    name: str,
    systems: Mapping[str, System],
    trials: TrialList,
    scoring: Scoring,
    maps: Maps | None = None,
) -> CrossMatrix:
    """Error rates of each pair of systems.

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
    maps : Maps | None
        As `find_maps` gives them: of the pairs that they name alone, each side
        centred by its map.

    Returns
    -------
    CrossMatrix
        With the pairs that were skipped, as their embeddings differ in size.
    """
    eers = {one: {} for one in systems}
    found = CrossMatrix(name, list(systems), eers, mapped=maps is not None)
    if maps is not None:
        scoring = replace(scoring, centre=False)
    for enrol, test in product(systems, systems) if maps is None else maps:
        one, other = systems[enrol], systems[test]
        if maps is not None:
            one, other = through(maps[enrol, test], one, other)
        sizes = one.rows.shape[1], other.rows.shape[1]
        if sizes[0] == sizes[1]:
            scores = one.score(trials, scoring, other)
            found.eer[enrol][test] = eer(*trials.split(scores))
        elif found.systems.index(enrol) < found.systems.index(test):
            found.skipped.append(
                f"{enrol} ({sizes[0]} dimensions) with {test} ({sizes[1]})"
            )
    return found
