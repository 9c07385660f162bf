"""Who has met the speakers of the trial lists, before anything is embedded."""

from argparse import Namespace

from speechbrain_kd.evaluating.given import Given
from speechbrain_kd.evaluating.systems import System
from speechbrain_kd.evaluation.named_speakers import (
    group,
    speaker_of,
    trial_speakers,
)
from speechbrain_kd.evaluation.seen import (
    Exposures,
    Learner,
    check_unseen,
    exposure,
)

FLAG = "--allow-contaminated"


def expose(
    options: Namespace, given: Given, systems: dict[str, System]
) -> Exposures:
    """Finds who has met whom, and refuses what would say nothing.

    Arguments
    ---------
    options : Namespace
        Of the command.
    given : Given
        The lists with labels, and the cohort, whose speakers must be others.
    systems : dict[str, System]
        By name, loaded.

    Returns
    -------
    Exposures
        Of every list and system.

    Raises
    ------
    ValueError
        If a system has met speakers of a list, and that is not allowed.
    """
    beside = []
    if given.cohort is not None:
        speakers = {speaker_of(name) for name in given.cohort.files}
        beside = [Learner("the cohort", group("cohort", speakers))]
    found = {}
    for name, trials in given.lists.items():
        speakers = trial_speakers(trials)
        found[name] = {
            one: exposure(speakers, [*system.met, *beside])
            for one, system in systems.items()
        }
    if not options.allow_contaminated:
        for name, by_system in found.items():
            check_unseen(name, by_system, FLAG)
    return found
