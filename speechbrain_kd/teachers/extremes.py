"""Checks of a teacher with what is extreme, and of what it tells apart."""

import torch

from speechbrain_kd.data.audio import SAMPLE_RATE
from speechbrain_kd.teachers.checked import (
    FAIL,
    NOTE,
    PASS,
    Asked,
    Check,
    difference,
    failed,
)

_SHORT_S = 0.3
_CONSTANT = 1e-3
_FEW = 7


def extremes(asked: Asked, equal: list[torch.Tensor]) -> list[Check]:
    """Extremes of speech, which corpora do hold.

    Arguments
    ---------
    asked : Asked
        The teacher.
    equal : list[torch.Tensor]
        Crops of one length.

    Returns
    -------
    list[Check]
        One each.
    """
    wav = equal[0]
    loud = wav / wav.abs().max().clamp(min=1e-9)
    cases = {
        f"{_SHORT_S:g} s": (wav[: round(_SHORT_S * SAMPLE_RATE)],),
        "silence": (torch.zeros_like(wav),),
        "full scale": (loud, (100 * loud).clamp(-1, 1)),
    }
    checks = []
    for name, wavs in cases.items():
        try:
            answer = asked(list(wavs))
        except Exception as error:  # whatever a foreign model may raise
            checks.append(failed(name, None, error))
            continue
        if not bool(answer.isfinite().all()):
            verdict, what = FAIL, "the embedding is not finite"
        elif not bool(answer.norm(dim=1).min() > 0):
            verdict, what = NOTE, "the embedding is zero: it has no direction"
        else:
            verdict, what = PASS, "the embedding is finite and not zero"
        checks.append(Check(name, verdict, None, None, what))
    return checks


def differ(asked: Asked, equal: list[torch.Tensor]) -> Check:
    """Utterances are told apart.

    Arguments
    ---------
    asked : Asked
        The teacher.
    equal : list[torch.Tensor]
        Crops of one length.

    Returns
    -------
    Check
        Its value is the largest difference of two.
    """
    what = "of two utterances, at least this"
    try:
        answers = asked(equal)
        largest = difference(answers, answers.roll(1, 0))
    except Exception as error:  # whatever a foreign model may raise
        return failed("differs", _CONSTANT, error)
    good = _CONSTANT < largest < torch.inf
    return Check("differs", PASS if good else FAIL, largest, _CONSTANT, what)


def classes(asked: Asked, equal: list[torch.Tensor]) -> list[Check]:
    """Logits, where there are any, are what the teacher says they are.

    Arguments
    ---------
    asked : Asked
        The teacher.
    equal : list[torch.Tensor]
        Crops of one length.

    Returns
    -------
    list[Check]
        Empty without logits.
    """
    try:
        wavs = torch.stack(equal[:_FEW]).to(asked.device)
        logits = asked.teacher(wavs).logits
    except Exception as error:  # whatever a foreign model may raise
        return [failed("classes", None, error)]
    if logits is None:
        return []
    labels = asked.teacher.labels
    if labels is not None and logits.shape[1] != len(labels):
        what = f"{logits.shape[1]} logits for {len(labels)} labels"
        return [Check("classes", FAIL, None, None, what)]
    if asked.teacher.cosine_logits:
        value = float(logits.abs().max().nan_to_num(torch.inf))
        good, what = value < 1.001, "largest cosine of an embedding and a class"
    else:
        total = logits.logsumexp(dim=1).abs().max()
        value = float(total.nan_to_num(torch.inf))
        good, what = value < 1e-3, "logarithm of the sum of the probabilities"
    return [Check("classes", PASS if good else FAIL, value, None, what)]


def level(asked: Asked, equal: list[torch.Tensor]) -> Check:
    """How much the level of the speech matters.

    Arguments
    ---------
    asked : Asked
        The teacher.
    equal : list[torch.Tensor]
        Crops of one length.

    Returns
    -------
    Check
        Never a failure unless it cannot be measured.
    """
    some = equal[:_FEW]
    try:
        quiet = asked([0.5 * wav for wav in some])
        cosine = torch.nn.functional.cosine_similarity(asked(some), quiet)
    except Exception as error:  # whatever a foreign model may raise
        return failed("level", None, error)
    what = "least cosine of speech and the same at half its level"
    return Check("level", NOTE, float(cosine.min()), None, what)
