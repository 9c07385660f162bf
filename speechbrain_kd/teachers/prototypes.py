"""A classifier for any teacher: centres of the training speakers."""

import hashlib
import logging

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch.nn.functional import normalize

from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.heard import Heard
from speechbrain_kd.teachers.remembered import Arrays
from speechbrain_kd.teachers.wrapped import WrappedTeacher

logger = logging.getLogger(__name__)


class PrototypeTeacher(WrappedTeacher):
    """Any teacher with the training speakers as its classes.

    The centre of a speaker is the mean of the unit embeddings of some of its
    training utterances, found once before the training; the score of a class
    is the cosine with its centre (with several, the best). So a teacher
    without a classifier, or one that knows other speakers, gives posteriors
    for every training utterance. Its embeddings stay what they are, and what
    is stored of them serves the plain teacher too.

    Arguments
    ---------
    teacher : Teacher
        Whose embeddings are used; classes of its own are not.
    centres : int
        Most centres of a speaker, by k-means among its utterances.
    utterances_per_speaker : int | None
        Most utterances to make them of; None takes all.
    seconds : float | None
        Most to hear of an utterance; None hears all.

    Raises
    ------
    ValueError
        If a number is not positive, or utterances are too few for centres.

    Reference
    ---------
    Snell et al., "Prototypical Networks for Few-shot Learning",
    arXiv 1703.05175.

    Example
    -------
    >>> class Level(Teacher):
    ...     def encode(self, wavs, lens):
    ...         return wavs[:, :2]
    >>> plain = Level("level", embedding_dim=2).freeze()
    >>> teacher = PrototypeTeacher(plain)
    >>> teacher.fingerprint() == plain.fingerprint()
    True
    >>> teacher.put({"ann": [[2.0, 0.0]], "bob": [[0.0, 1.0], [1.0, 1.0]]})
    >>> teacher(torch.tensor([[3.0, 0.0], [5.0, 5.0]])).logits
    tensor([[1.0000, 0.7071],
            [0.7071, 1.0000]])
    """

    def __init__(
        self,
        teacher: Teacher,
        centres: int = 1,
        utterances_per_speaker: int | None = 20,
        seconds: float | None = 4.0,
    ) -> None:
        super().__init__(
            teacher, utterances_per_speaker, seconds, cosine_logits=True
        )
        _check_positive(
            centres=centres,
            utterances_per_speaker=utterances_per_speaker,
            seconds=seconds,
        )
        if utterances_per_speaker is not None:
            if centres > utterances_per_speaker:
                raise ValueError(
                    f"PrototypeTeacher: {centres} centres of a speaker need "
                    "as many utterances_per_speaker; got "
                    f"{utterances_per_speaker}"
                )
        self.centres = centres
        self.register_buffer("rows", None, persistent=False)
        self.register_buffer("class_of_row", None, persistent=False)
        self.freeze()

    def learn(self, training: Heard, validation: Heard | None) -> None:
        """Finds the centres of the training speakers."""
        some = self.lesson(training, validation)
        self.embedding_dim = self.teacher.embedding_dim
        follows_from = {
            "teacher": self.teacher.fingerprint(),
            "centres": self.centres,
        }
        found = some.remembered(
            "prototypes", follows_from, lambda: self._find(some)
        )
        by_speaker: dict[str, list[np.ndarray]] = {}
        for name, row in zip(found["speakers"], found["rows"], strict=True):
            by_speaker.setdefault(str(name), []).append(row)
        self.put(by_speaker)
        self.to(training.device)
        logger.info(
            "%s: %d prototypes of %d training speakers, by %d utterances "
            "(sha256 %s)",
            self.source,
            len(self.rows),
            len(self.labels),
            len(some),
            self.digests["prototypes"],
        )

    def put(self, centres: dict[str, list]) -> None:
        """Sets the classes.

        Arguments
        ---------
        centres : dict[str, list]
            By speaker, its centres, ``[centres, dim]``.
        """
        self.labels = list(centres)
        rows = [np.asarray(row) for some in centres.values() for row in some]
        counts = torch.tensor([len(some) for some in centres.values()])
        self.rows = normalize(torch.tensor(np.stack(rows)).float())
        classes = torch.arange(len(counts)).repeat_interleave(counts)
        self.class_of_row = classes
        digest = hashlib.sha256(repr(self.labels).encode())
        digest.update(self.rows.numpy().tobytes())
        self.digests["prototypes"] = digest.hexdigest()

    def _find(self, some: Heard) -> Arrays:
        """Centres ``rows`` [centres, dim] and whose each is, ``speakers``."""
        unit = normalize(some.embeddings(self.teacher)).numpy()
        names = np.array(some.speakers)
        speakers, rows = [], []
        for name in sorted(set(some.speakers)):
            own = _centres(unit[names == name], self.centres)
            speakers += [name] * len(own)
            rows.append(own)
        return {"rows": np.concatenate(rows), "speakers": np.array(speakers)}

    def fingerprint(self) -> str:
        """The teacher's: the embeddings are."""
        return self.teacher.fingerprint()

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor | None:
        """Cosines ``[batch, speakers]`` with the best centre of each."""
        if self.labels is None:
            return None
        cosines = normalize(self.target(embeddings)) @ self.rows.T
        if len(self.rows) == len(self.labels):
            return cosines
        best = cosines.new_full((len(cosines), len(self.labels)), -1.0)
        where = self.class_of_row.expand(len(cosines), -1)
        return best.scatter_reduce(1, where, cosines, "amax")


def _centres(unit: np.ndarray, most: int) -> np.ndarray:
    """Unit centres [centres, dim] of unit embeddings [utterances, dim]."""
    count = min(most, len(np.unique(unit, axis=0)))
    if count == 1:
        return unit.mean(axis=0, keepdims=True)
    return KMeans(count, n_init=4, random_state=0).fit(unit).cluster_centers_


def _check_positive(**numbers: float | None) -> None:
    """Raises for a number that is not above zero; None is passed over."""
    for name, number in numbers.items():
        if number is not None and not number > 0:
            raise ValueError(
                f"PrototypeTeacher: {name} must be positive; got {number}"
            )
