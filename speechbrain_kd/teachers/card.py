"""What a teacher is and costs, in plain values and as a text."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from speechbrain_kd.data.audio import SAMPLE_RATE
from speechbrain_kd.evaluation.cost import (
    count_macs,
    count_parameters,
    model_bytes,
)
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.features_text import describe_features

#: The figure of the project: multiply-adds for so much speech.
COST_SECONDS = 2.0
_COSTS = ("parameters", "gmac", "bytes")
_SHOWN = 3


@dataclass
class TeacherCard:
    """What a teacher is.

    Arguments
    ---------
    source : str
        Where it came from.
    kind : str
        Its class, and that of its encoder where there is one.
    parameters : int | None
        Of the encoder; None where they cannot be counted.
    gmac : float | None
        10^9 multiply-adds from the features of 2 s of speech to the
        embedding, alone; with the features where the model holds them.
    bytes : int | None
        Of the encoder's file, or of its float32 state.
    dim : int
        Size of an embedding.
    classes : int
        0 without a classifier.
    labels : list[str] | None
        Names of the classes.
    scores : str
        What the classifier gives: cosines or log-probabilities.
    features : list[str]
        Front ends, one a member.
    files : dict[str, str]
        SHA-256 of each loaded file.
    revision : str | None
        Commit of the hub that was loaded.
    fingerprint : str
        By which its answers are stored.
    trained_on : list[str]
        Names of its training data.
    members : list[TeacherCard]
        Of the teachers that it is made of.

    Example
    -------
    >>> class Mean(Teacher):
    ...     def encode(self, wavs, lens):
    ...         return wavs.mean(1, keepdim=True)
    >>> card = describe(Mean("mean", 1, trained_on=["ours"]).freeze())
    >>> card.kind, card.dim, card.classes, card.trained_on
    ('Mean', 1, 0, ['ours'])
    """

    source: str
    kind: str
    parameters: int | None
    gmac: float | None
    bytes: int | None
    dim: int
    classes: int
    labels: list[str] | None
    scores: str
    features: list[str]
    files: dict[str, str]
    revision: str | None
    fingerprint: str
    trained_on: list[str]
    members: list["TeacherCard"] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The card in what JSON knows."""
        return dataclasses.asdict(self)


def describe(teacher: Teacher) -> TeacherCard:
    """Looks at a teacher.

    Arguments
    ---------
    teacher : Teacher
        Loaded; one that learns may not have learnt yet.

    Returns
    -------
    TeacherCard
        Its card.
    """
    members = [describe(one) for one in members_of(teacher)]
    features = [text for one in members for text in one.features]
    count = _classes(teacher)
    return TeacherCard(
        source=teacher.source,
        kind=_kind(teacher),
        **costs_of(teacher),
        dim=teacher.embedding_dim,
        classes=count,
        labels=teacher.labels,
        scores=_scores(teacher, count),
        features=list(dict.fromkeys(features or [describe_features(teacher)])),
        files=dict(teacher.digests),
        revision=getattr(teacher, "revision", None),
        fingerprint=teacher.fingerprint(),
        trained_on=list(teacher.trained_on),
        members=members,
    )


def members_of(teacher: Teacher) -> list[Teacher]:
    """The teachers that a teacher is directly made of.

    Arguments
    ---------
    teacher : Teacher
        Prototypes or an ensemble, as a rule.

    Returns
    -------
    list[Teacher]
        Empty for a single one.
    """
    found: list[Teacher] = []
    waiting = list(teacher.children())
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, Teacher):
            found.append(part)
        else:
            waiting += list(part.children())
    return found


def encoder_of(teacher: Teacher) -> torch.nn.Module | None:
    """The network that embeds, where it is one of PyTorch.

    Arguments
    ---------
    teacher : Teacher
        A single teacher.

    Returns
    -------
    torch.nn.Module | None
        Its ``embedding_model`` or ``model``.
    """
    for name in ("embedding_model", "model"):
        part = getattr(teacher, name, None)
        if isinstance(part, torch.nn.Module):
            return part
    return None


def _kind(teacher: Teacher) -> str:
    """Class of the teacher, and of what embeds."""
    encoder = encoder_of(teacher)
    own = type(teacher).__name__
    return own if encoder is None else f"{own} ({type(encoder).__name__})"


def costs_of(teacher: Teacher) -> dict[str, Any]:
    """What can be counted of a teacher; of several, the sum.

    Arguments
    ---------
    teacher : Teacher
        Loaded; one that learns may not have learnt yet.

    Returns
    -------
    dict[str, Any]
        ``parameters``, ``gmac`` of 2 s of speech, ``bytes``; None for what
        nobody can count.
    """
    members = [costs_of(one) for one in members_of(teacher)]
    if members:
        return {name: _sum([one[name] for one in members]) for name in _COSTS}
    encoder = encoder_of(teacher)
    own_count = getattr(teacher, "count_parameters", None)
    if own_count is not None:
        parameters = own_count()
    else:
        parameters = count_parameters(teacher if encoder is None else encoder)
    path = Path(teacher.source)
    if encoder is not None:
        size = model_bytes(encoder)
    else:
        size = path.stat().st_size if path.is_file() else None
    macs = _macs(teacher, encoder)
    gmac = None if macs is None else macs / 1e9
    return dict(zip(_COSTS, (parameters or None, gmac, size), strict=True))


def _macs(teacher: Teacher, encoder: torch.nn.Module | None) -> int | None:
    """Multiply-adds of 2 s of speech; None where nobody can count them."""
    if hasattr(teacher, "macs"):
        return teacher.macs(COST_SECONDS)
    device = next(teacher.buffers(), torch.empty(0)).device
    wavs = torch.zeros(1, round(COST_SECONDS * SAMPLE_RATE), device=device)
    if encoder is not None and teacher.feature_key() is not None:
        lens = torch.ones(1, device=device)
        with torch.no_grad():
            return count_macs(encoder, teacher.features(wavs, lens))
    return count_macs(teacher, wavs)


def _sum(values: list[float | None]) -> float | None:
    """The sum; None where one is not known."""
    return None if None in values else sum(values)


def _classes(teacher: Teacher) -> int:
    """Number of classes, by trial where they have no names."""
    if teacher.labels is not None:
        return len(teacher.labels)
    if teacher.learns or not teacher.answer_dim:
        return 0
    device = next(teacher.buffers(), torch.empty(0)).device
    with torch.no_grad():
        logits = teacher.classify(torch.ones(1, teacher.answer_dim).to(device))
    return 0 if logits is None else logits.shape[-1]


def _scores(teacher: Teacher, classes: int) -> str:
    """What its logits are."""
    if not classes:
        return "none"
    return "cosines" if teacher.cosine_logits else "log-probabilities"
