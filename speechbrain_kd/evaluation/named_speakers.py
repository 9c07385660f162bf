"""Sets of speakers that have a name, and whose voice an utterance is.

A speaker is an id within a corpus: id10001 is one person in VoxCeleb1 and
another in minivox. The corpus is told from the shape of an utterance's name:
a recording of VoxCeleb is a YouTube id of 11 characters
(``id10270/5r0dWxy17C8/00001.wav``), one of minivox is ``rec01`` and so on.
What has neither shape is of an unknown corpus, and is taken for any speaker
of its id: a false alarm costs a look at the list, a miss makes a result void.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from speechbrain_kd.evaluation.speakers import speaker_names
from speechbrain_kd.evaluation.trials import TrialList

_VOXCELEB = re.compile(
    r"(?:^|[/_-])id([01]\d{4})[/_-]+[\w-]{11}[/_-]+\d{5}(?!\d)"
)
_MINIVOX = re.compile(r"(?:^|[/_-])(id1\d{4})[/_-]+rec\d\d[/_-]+\d{5}(?!\d)")

#: First and last number of the ids of each set, its corpus, and the set that
#: is taken out of it. VoxCeleb2's ids are not contiguous, and the 118 of its
#: test set lie among those of its dev set: they count as seen with it.
_RANGES = {
    "voxceleb1": ("voxceleb1", 10001, 11251, None),
    "voxceleb1-dev": ("voxceleb1", 10001, 11251, "voxceleb1-test"),
    "voxceleb1-test": ("voxceleb1", 10270, 10309, None),
    "voxceleb2": ("voxceleb2", 12, 9272, None),
    "voxceleb2-dev": ("voxceleb2", 12, 9272, None),
    "minivox-dev": ("minivox", 10001, 19000, None),
    "minivox-test": ("minivox", 19001, 19999, None),
}
#: The names that a teacher's ``trained_on`` may have without a file of ids.
NAMES = tuple(_RANGES)
#: Stands for the corpus of a speaker whom only target trials make known.
UNNAMED = ""


class Speaker(NamedTuple):
    """A speaker.

    Arguments
    ---------
    corpus : str | None
        Whose id it is; None where that is not known.
    id : str
        Name within the corpus.
    """

    corpus: str | None
    id: str


@dataclass(frozen=True)
class SpeakerSet:
    """Speakers of one corpus.

    Arguments
    ---------
    name : str
        What it is called.
    corpus : str | None
        Whose ids they are; None where that is not known.
    ids : frozenset[str]
        Their names.

    Example
    -------
    >>> dev = named_set("voxceleb1-dev")
    >>> len(dev.ids), speaker_of("id10001/1zcIwhmdeo4/00001.wav") in dev
    (1211, True)
    >>> speaker_of("id10001/rec01/00001.wav") in dev  # minivox
    False
    """

    name: str
    corpus: str | None
    ids: frozenset[str]

    def __contains__(self, speaker: Speaker) -> bool:
        """Whether this may be one of them."""
        comparable = None in (self.corpus, speaker.corpus)
        return speaker.id in self.ids and (
            comparable or self.corpus == speaker.corpus
        )


def speaker_of(utterance: str) -> Speaker:
    """Tells speaker and corpus by an utterance's name.

    Arguments
    ---------
    utterance : str
        ``<speaker>/<recording>/<number>``, also below other folders or joined
        by dashes as Kaldi does; or the name of a speaker.

    Returns
    -------
    Speaker
        Of an unknown corpus: the third last part of the path, or the first
        of a shorter one.

    Example
    -------
    >>> speaker_of("id10270-5r0dWxy17C8-00001")
    Speaker(corpus='voxceleb1', id='id10270')
    >>> speaker_of("wav/ann/monday/1.wav")
    Speaker(corpus=None, id='ann')
    """
    found = _VOXCELEB.search(utterance)
    if found:
        name = "voxceleb1" if found[1][0] == "1" else "voxceleb2"
        _, first, last, _ = _RANGES[name]
        if first <= int(found[1]) <= last:
            return Speaker(name, f"id{found[1]}")
    found = _MINIVOX.search(utterance)
    if found:
        return Speaker("minivox", found[1])
    parts = [part for part in utterance.split("/") if part] or [utterance]
    return Speaker(None, parts[max(0, len(parts) - 3)])


@cache
def named_set(name: str) -> SpeakerSet | None:
    """The set of this name, or None.

    Arguments
    ---------
    name : str
        One of ``NAMES``.
    """
    if name not in _RANGES:
        return None
    corpus, first, last, without = _RANGES[name]
    ids = frozenset(f"id{number:05d}" for number in range(first, last + 1))
    if without is not None:
        ids -= named_set(without).ids
    return SpeakerSet(name, corpus, ids)


def group(name: str, speakers: Iterable[Speaker]) -> list[SpeakerSet]:
    """Parts speakers by corpus.

    Arguments
    ---------
    name : str
        What those of an unknown corpus are called.
    speakers : Iterable[Speaker]
        The speakers.

    Returns
    -------
    list[SpeakerSet]
        One a corpus.
    """
    found: dict[str | None, set[str]] = {}
    for speaker in speakers:
        found.setdefault(speaker.corpus, set()).add(speaker.id)
    return [
        SpeakerSet(corpus or name, corpus, frozenset(ids))
        for corpus, ids in found.items()
    ]


def trial_speakers(trials: TrialList) -> set[Speaker]:
    """The speakers of a trial list.

    Arguments
    ---------
    trials : TrialList
        The trials. Their speakers are those of `speaker_names`, told apart
        by corpus where the name of an utterance shows it.

    Returns
    -------
    set[Speaker]
        Each once. One that only target trials make known goes by the name of
        an utterance, of the corpus ``UNNAMED``.

    Example
    -------
    >>> trials = TrialList([True, False], [0, 0], [1, 2], ["x", "y", "z"])
    >>> sorted(trial_speakers(trials))
    [Speaker(corpus='', id='x'), Speaker(corpus='', id='z')]
    """
    names = dict(zip(trials.utterances, _names(trials), strict=True))
    recordings = set(trials.recordings)
    found = set()
    for recording in recordings:
        speaker = speaker_of(recording)
        name = names.get(recording, speaker.id)
        if speaker.corpus is None and "/" not in name:
            speaker = Speaker(UNNAMED if name in recordings else None, name)
        found.add(speaker)
    return found


def _names(trials: TrialList) -> Sequence[str]:
    """A name for each utterance; a list that contradicts itself has some."""
    try:
        if trials.labels is not None:
            return speaker_names(trials)
    except ValueError:
        pass  # what is wrong with the labels is said where they are used
    return trials.utterances
