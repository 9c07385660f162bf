"""Several teachers as one: embeddings and posteriors combined."""

import hashlib
import logging
from collections.abc import Sequence

import torch
from torch.nn.functional import normalize

from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.combining import align, checked_weights, weigh
from speechbrain_kd.teachers.heard import Heard
from speechbrain_kd.teachers.spaces import MAPS
from speechbrain_kd.teachers.votes import AVERAGES, Vote

logger = logging.getLogger(__name__)

COMBINATIONS = ("concatenate", "average")


class EnsembleTeacher(Teacher):
    """Teachers of any dimensions, features and kinds, as one.

    Unit embeddings are concatenated, each times the root of its weight, so
    that a cosine is the weighted mean of the members' cosines; or averaged,
    after each was mapped into the space of the first. Posteriors are averaged
    over the classes that all members with classes share, and renormalised;
    members without classes have no part in them
    (:class:`~speechbrain_kd.teachers.prototypes.PrototypeTeacher` gives them
    some). What is stored are the members' own answers: neither weights nor
    maps have to be known when a teacher is asked.

    Arguments
    ---------
    teachers : Sequence[Teacher]
        The members, two or more.
    combine : str
        ``"concatenate"``, or ``"average"`` in the space of the first.
    posteriors : str
        ``"log"`` (geometric mean) or ``"probability"`` (arithmetic mean).
    weights : Sequence[float] | str | None
        One a member; ``"eer"``: in proportion to 1 / EER on trials among the
        validation utterances; None: equal ones.
    scale : float
        What cosine logits are multiplied by before the softmax.
    alignment : str
        The map of an average: ``"procrustes"`` or ``"ridge"``, learned from
        the training set.
    utterances_per_speaker : int | None
        Most utterances of a speaker to learn from; None takes all.
    seconds : float | None
        Most to hear of one; None hears all.

    Raises
    ------
    ValueError
        If there are less than two teachers, a choice is not among those
        above, or the weights do not fit.

    Reference
    ---------
    Hinton et al., "Distilling the Knowledge in a Neural Network",
    arXiv 1503.02531, on ensembles as teachers.

    Example
    -------
    >>> class Part(Teacher):
    ...     def __init__(self, start, stop):
    ...         super().__init__(f"{start}-{stop}", stop - start)
    ...         self.start, self.stop = start, stop
    ...         self.freeze()
    ...
    ...     def encode(self, wavs, lens):
    ...         return wavs[:, self.start : self.stop]
    >>> one, other = Part(0, 3), Part(3, 8)
    >>> both = EnsembleTeacher([one, other], weights=[3, 1])
    >>> wavs = torch.randn(2, 100)
    >>> def cosine(teacher):
    ...     return torch.cosine_similarity(*teacher.embed(wavs), dim=0)
    >>> mean = 0.75 * cosine(one) + 0.25 * cosine(other)
    >>> torch.allclose(cosine(both), mean, atol=1e-6)
    True
    """

    def __init__(
        self,
        teachers: Sequence[Teacher],
        combine: str = "concatenate",
        posteriors: str = "log",
        weights: Sequence[float] | str | None = None,
        scale: float = 30.0,
        alignment: str = "procrustes",
        utterances_per_speaker: int | None = 20,
        seconds: float | None = 4.0,
    ) -> None:
        super().__init__(
            " + ".join(one.source for one in teachers),
            trained_on=_union(
                [one.trained_on or ["unknown"] for one in teachers]
            ),
        )
        if len(teachers) < 2:
            raise ValueError(
                f"An ensemble takes two teachers or more; got {len(teachers)}"
            )
        for key, value, choices in (
            ("combine", combine, COMBINATIONS),
            ("posteriors", posteriors, AVERAGES),
            ("alignment", alignment, MAPS),
        ):
            if value not in choices:
                raise ValueError(
                    f"An ensemble's {key} is one of {', '.join(choices)}; got "
                    f"{value!r}"
                )
        self.members = torch.nn.ModuleList(teachers)
        self.combine, self.posteriors = combine, posteriors
        self.scale, self.alignment = float(scale), alignment
        self._hears = (utterances_per_speaker, seconds)
        self.by_eer = weights == "eer"
        self.weights = None
        if not self.by_eer:
            self.weights = checked_weights(weights, len(teachers))
        self.maps = torch.nn.ParameterList()
        self._gather()
        self.freeze()

    @property
    def learns(self) -> bool:
        """Whether weights, maps or members come from the training set."""
        return (
            self.by_eer
            or self.combine == "average"
            or any(one.learns for one in self.members)
        )

    def learn(self, training: Heard, validation: Heard | None) -> None:
        """Lets the members learn; finds weights and maps."""
        for one in self.members:
            if one.learns:
                one.learn(training, validation)
        self._gather()
        if self.by_eer:
            held_out = validation and validation.some(*self._hears)
            self.weights = weigh(self.members, held_out)
        if self.combine == "average":
            some = training.some(*self._hears)
            self.maps = align(self.members, some, self.alignment)
        self.to(training.device)
        for one, weight in zip(self.members, self.weights, strict=True):
            logger.info("Ensemble: weight %.3f for %s", weight, one.source)
        logger.info(
            "Ensemble: %d dimensions (%s), posteriors over %d classes",
            self.embedding_dim,
            self.combine,
            len(self.labels or ()),
        )

    def _gather(self) -> None:
        """Takes over what the members are and know."""
        dims = [one.embedding_dim for one in self.members]
        average = self.combine == "average"
        self.embedding_dim = dims[0] if average else sum(dims)
        revisions = [one.revision for one in self.members if one.revision]
        self.revision = " + ".join(revisions) or None
        self.digests = {
            f"{number}/{name}": digest
            for number, one in enumerate(self.members, start=1)
            for name, digest in one.digests.items()
        }
        self.vote = Vote(self.members, self.scale, self.posteriors)
        self.labels = self.vote.labels

    def _lesson(self) -> None:
        """Raises where the ensemble has yet to learn."""
        unmapped = self.combine == "average" and not self.maps
        if self.weights is None or unmapped:
            raise ValueError(
                f"The ensemble {self.source} has not learned its "
                f"{'maps' if unmapped else 'weights'} yet, which takes the "
                "training set of train_kd.py: elsewhere give weights, and "
                "combine: concatenate"
            )

    @property
    def answer_dim(self) -> int:
        """Those of the members, summed."""
        return sum(one.answer_dim for one in self.members)

    def answer(self, wavs: torch.Tensor) -> torch.Tensor:
        """The members' answers ``[batch, answer_dim]``, side by side."""
        return torch.cat([one.answer(wavs) for one in self.members], dim=1)

    def encode(self, wavs: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
        """As ``answer``, of padded waveforms."""
        answers = [one.encode(wavs, lens).float() for one in self.members]
        return torch.cat(answers, dim=1)

    def _parts(self, answers: torch.Tensor) -> Sequence[torch.Tensor]:
        """Each member's part of the answers."""
        return answers.split([one.answer_dim for one in self.members], dim=1)

    def target(self, answers: torch.Tensor) -> torch.Tensor:
        """Combines the members' embeddings."""
        self._lesson()
        parts = zip(self.members, self._parts(answers), strict=True)
        units = [normalize(one.target(part)) for one, part in parts]
        if self.combine == "concatenate":
            pairs = zip(self.weights, units, strict=True)
            return torch.cat([weight**0.5 * one for weight, one in pairs], 1)
        pairs = zip(units[1:], self.maps, strict=True)
        mapped = units[:1] + [normalize(unit @ one) for unit, one in pairs]
        pairs = zip(self.weights, mapped, strict=True)
        return sum(weight * one for weight, one in pairs)

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor | None:
        """Log-probabilities ``[batch, shared classes]`` of answers."""
        if self.labels is None:
            return None
        self._lesson()
        parts = zip(self.members, self._parts(embeddings), strict=True)
        logits = [one.classify(part) for one, part in parts]
        return self.vote(logits, self.weights)

    def answer_fingerprint(self) -> str:
        """Of the members' answers, whatever the weights."""
        return _digest(one.answer_fingerprint() for one in self.members)

    def fingerprint(self) -> str:
        """Of the embeddings: members, weights and maps."""
        self._lesson()
        known = [one.fingerprint() for one in self.members]
        maps = [one.detach().cpu().numpy().tobytes().hex() for one in self.maps]
        return _digest([*known, self.combine, *map(repr, self.weights), *maps])


def _digest(texts: Sequence[str]) -> str:
    """A SHA-256 of texts."""
    return hashlib.sha256("\n".join(["ensemble", *texts]).encode()).hexdigest()


def _union(lists: Sequence[Sequence[str]]) -> list[str]:
    """All that is in some list, once."""
    return list(dict.fromkeys(one for some in lists for one in some))
