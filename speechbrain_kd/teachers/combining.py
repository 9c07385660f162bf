"""What an ensemble learns of the data: weights, and maps between spaces."""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import normalize

from speechbrain_kd.evaluation.metrics import eer
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.validation import validation_trials
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.heard import Heard
from speechbrain_kd.teachers.remembered import Arrays
from speechbrain_kd.teachers.spaces import fit_map

logger = logging.getLogger(__name__)

#: Lower error rates are chance.
_LEAST_EER = 1e-3


def checked_weights(
    weights: Sequence[float] | str | None, count: int
) -> list[float]:
    """Weights as a user gives them, made to sum to one.

    Arguments
    ---------
    weights : Sequence[float] | str | None
        A number a teacher; None for equal ones.
    count : int
        How many teachers there are.

    Returns
    -------
    list[float]
        ValueError where they do not fit or are not positive.

    Example
    -------
    >>> checked_weights([3, 1], 2), checked_weights(None, 2)
    ([0.75, 0.25], [0.5, 0.5])
    """
    if weights is None:
        return [1 / count] * count
    if isinstance(weights, str) or len(weights) != count:
        raise ValueError(
            f"An ensemble's weights are eer, null, or {count} numbers, one a "
            f"teacher; got {weights!r}"
        )
    if not all(0 < weight < float("inf") for weight in weights):
        raise ValueError(
            f"An ensemble's weights must be positive; got {list(weights)}"
        )
    return [float(weight) / sum(weights) for weight in weights]


def weigh(teachers: Sequence[Teacher], held_out: Heard | None) -> list[float]:
    """Weights in proportion to 1 / EER.

    Arguments
    ---------
    teachers : Sequence[Teacher]
        The members of an ensemble.
    held_out : Heard | None
        Utterances that trials are made among.

    Returns
    -------
    list[float]
        They sum to one. ValueError where no trial can be made.
    """
    if held_out is None:
        raise ValueError(
            "An ensemble with weights: eer needs validation utterances, and "
            "there are none: hold some out (split_ratio), or give weights"
        )
    follows_from = {"teachers": [one.fingerprint() for one in teachers]}

    def find() -> Arrays:
        rates = [validation_eer(one, held_out) for one in teachers]
        return {"rates": np.array(rates)}

    rates = held_out.remembered("eer", follows_from, find)["rates"]
    for one, rate in zip(teachers, rates, strict=True):
        logger.info("Ensemble: EER %.2f %% of %s", 100 * rate, one.source)
    inverse = 1 / rates.clip(min=_LEAST_EER)
    return (inverse / inverse.sum()).tolist()


def validation_eer(teacher: Teacher, held_out: Heard) -> float:
    """EER over trials among held-out utterances of the training speakers.

    Arguments
    ---------
    teacher : Teacher
        Whom to measure.
    held_out : Heard
        The utterances.

    Returns
    -------
    float
        In 0–1.
    """
    names = held_out.utterances
    trials = validation_trials(held_out.speakers, names)
    place = {name: row for row, name in enumerate(names)}
    unit = normalize(held_out.embeddings(teacher))
    rows = unit[[place[name] for name in trials.utterances]]
    scores = cosine_scores(rows.numpy(), trials)
    return float(eer(scores[trials.labels], scores[~trials.labels]))


def align(
    teachers: Sequence[Teacher], some: Heard, how: str
) -> torch.nn.ParameterList:
    """Finds the maps into the space of the first teacher.

    Arguments
    ---------
    teachers : Sequence[Teacher]
        The members of an ensemble.
    some : Heard
        Utterances to learn from.
    how : str
        As :func:`~speechbrain_kd.teachers.spaces.fit_map` takes it.

    Returns
    -------
    torch.nn.ParameterList
        For each but the first, ``[its dim, dim of the first]``; frozen.
    """
    follows_from = {
        "teachers": [one.fingerprint() for one in teachers],
        "alignment": how,
    }

    def find() -> Arrays:
        first, *others = (normalize(some.embeddings(one)) for one in teachers)
        maps = [fit_map(one, first, how).numpy() for one in others]
        return {str(number): one for number, one in enumerate(maps)}

    found = some.remembered("alignment", follows_from, find)
    return torch.nn.ParameterList(
        torch.nn.Parameter(torch.from_numpy(found[str(number)]), False)
        for number in range(len(teachers) - 1)
    )
