"""Trial lists: which pairs of utterances are compared, and the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from speechbrain_kd.evaluation.trial_formats import (
    Pairs,
    read_models,
    read_pairs,
    read_scp,
)


@dataclass(eq=False)
class TrialList:
    """Pairs of utterances, each said to be of one speaker or of two.

    Every utterance is held once, however many trials it is in. A name may
    also be that of a *model*, which is enrolled with several utterances; its
    embedding is made by `pool_enrolments`, and is a row like any other then.

    Arguments
    ---------
    labels : np.ndarray | None
        True for a target trial (one speaker), [trials]. None where nobody
        knows: such trials can be scored, but have no error rate.
    enrol : np.ndarray
        Position in ``utterances`` of the first of each pair, [trials].
    test : np.ndarray
        Position of the second, [trials].
    utterances : list[str]
        The distinct utterances and models.
    models : Mapping[str, Sequence[str]]
        For each name in ``utterances`` that is a model, the utterances that
        it is enrolled with.

    Example
    -------
    >>> trials = TrialList([True, False], [0, 0], [1, 2], ["a", "b", "c"])
    >>> len(trials)
    2
    >>> trials.split([0.9, 0.1])
    (array([0.9]), array([0.1]))
    """

    labels: np.ndarray | None
    enrol: np.ndarray
    test: np.ndarray
    utterances: list[str]
    models: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Makes arrays of lists and checks that they fit each other."""
        self.enrol = np.asarray(self.enrol, dtype=np.int64)
        self.test = np.asarray(self.test, dtype=np.int64)
        if self.labels is not None:
            self.labels = np.asarray(self.labels, dtype=bool)
        labels = self.enrol if self.labels is None else self.labels
        shapes = {labels.shape, self.enrol.shape, self.test.shape}
        if shapes != {(labels.size,)}:
            raise ValueError(
                "labels, enrol and test must be as long as each other, got "
                f"{labels.shape}, {self.enrol.shape}, {self.test.shape}"
            )
        used = np.concatenate([self.enrol, self.test])
        if used.size and not 0 <= used.min() <= used.max() < len(
            self.utterances
        ):
            raise ValueError(
                f"trials name utterances {used.min()} to {used.max()}, but "
                f"there are {len(self.utterances)}"
            )
        empty = [name for name, its in self.models.items() if not len(its)]
        if empty:
            raise ValueError(
                f"model {empty[0]!r} is enrolled with no utterance; expected "
                "at least one"
            )

    def __len__(self) -> int:
        """Number of trials."""
        return self.enrol.size

    @property
    def recordings(self) -> list[str]:
        """What has to be embedded: each utterance, of models too, once."""
        if not self.models:
            return self.utterances
        found: dict[str, None] = {}
        for name in self.utterances:
            found.update(dict.fromkeys(self.models.get(name, (name,))))
        return list(found)

    def split(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parts scores into those of target and of impostor trials.

        Arguments
        ---------
        scores : np.ndarray
            One score a trial, [trials].

        Returns
        -------
        target_scores : np.ndarray
            Scores of the trials of one speaker.
        impostor_scores : np.ndarray
            Scores of the trials of two speakers.

        Raises
        ------
        ValueError
            If scores and trials differ in number, the trials have no labels,
            or all are of one class, so that no error rate exists.
        """
        scores = np.asarray(scores)
        if self.labels is None:
            raise ValueError(
                f"the {len(self)} trials have no labels: they can be scored, "
                "but have no error rate"
            )
        if scores.shape != self.labels.shape:
            raise ValueError(
                f"expected one score for each of {len(self)} trials, got "
                f"scores of shape {scores.shape}"
            )
        targets = int(self.labels.sum())
        if targets in (0, len(self)):
            missing = "target (label 1)" if targets == 0 else "impostor (0)"
            raise ValueError(
                f"the trial list has {len(self)} trials and no {missing} one: "
                "error rates need trials of both classes"
            )
        return scores[self.labels], scores[~self.labels]


def read_trials(
    path: str | Path,
    models: str | Path | None = None,
    files: str | Path | None = None,
    labelled: bool = True,
) -> TrialList:
    """Reads a trial list in VoxCeleb's, Kaldi's, CN-Celeb's or VoxSRC's format.

    See `trial_formats` for how they look; the first line tells which it is.

    Arguments
    ---------
    path : str | Path
        A text file. Blank lines are ignored.
    models : str | Path | None
        Kaldi's ``spk2utt``, ``model utterance utterance …`` a line, where
        the first of each pair is a model.
    files : str | Path | None
        Kaldi's ``wav.scp``, ``utterance file`` a line: utterances are then
        called by their files.
    labelled : bool
        Whether a list without labels is refused.

    Returns
    -------
    TrialList
        The trials, in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line cannot be read (with its number and content), the file
        holds no trial, it has no labels where they are wanted, or a model or
        utterance is not in the file that should list it.

    Example
    -------
    >>> path = getfixture("tmp_path") / "trials.txt"
    >>> _ = path.write_text(
    ...     "1 s1/1.wav s1/2.wav" + chr(10) + "0 s1/1.wav s2/1.wav"
    ... )
    >>> read_trials(path).utterances
    ['s1/1.wav', 's1/2.wav', 's2/1.wav']
    """
    pairs = read_pairs(Path(path))
    if labelled and pairs.labels is None:
        raise ValueError(
            f"{path}: 'enrol test' a line, without labels, as VoxSRC's blind "
            "lists are; error rates need 'label enrol test' (labelled=False "
            "reads it for its scores alone)"
        )
    pooled = {} if models is None else _models(pairs, Path(path), models)
    if files is not None:
        pooled = _call_by_file(pairs, pooled, read_scp(files), files)
    position: dict[str, int] = {}
    enrol, test = [], []
    for one, other in zip(pairs.enrol, pairs.test, strict=True):
        enrol.append(position.setdefault(one, len(position)))
        test.append(position.setdefault(other, len(position)))
    return TrialList(pairs.labels, enrol, test, list(position), pooled)


def _models(
    pairs: Pairs, path: Path, models: str | Path
) -> dict[str, tuple[str, ...]]:
    """The models that the trials name; all that they enrol must be there."""
    known = read_models(models)
    used = dict.fromkeys(pairs.enrol)
    lost = [name for name in used if name not in known]
    if lost:
        raise ValueError(
            f"{path}: {lost[0]!r} is enrolled, but is no model of {models} "
            f"({len(lost)} of {len(used)} are not)"
        )
    # A model of that utterance alone is that utterance.
    found = {name: known[name] for name in used if known[name] != (name,)}
    both = next((name for name in pairs.test if name in found), None)
    if both is not None:
        raise ValueError(
            f"{path}: {both!r} is a test utterance and a model of {models}; "
            "give the model another name"
        )
    return found


def _call_by_file(
    pairs: Pairs,
    models: Mapping[str, tuple[str, ...]],
    files: Mapping[str, str],
    path: str | Path,
) -> dict[str, tuple[str, ...]]:
    """Puts files for utterances, in the pairs and in the models."""
    try:
        pairs.test = [files[name] for name in pairs.test]
        pairs.enrol = [
            name if name in models else files[name] for name in pairs.enrol
        ]
        return {
            model: tuple(files[name] for name in names)
            for model, names in models.items()
        }
    except KeyError as error:
        raise ValueError(
            f"{path}: no file for utterance {error.args[0]!r}, which the "
            "trials name"
        ) from error
