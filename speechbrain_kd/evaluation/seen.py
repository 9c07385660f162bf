"""Which speakers of a trial list a system has met before it is tested.

A model has an easy time with speakers that it was trained on, and so has one
whose teacher was. What a published error rate then says of new speakers is
too good by an amount that nobody knows. So every result says one of three
things: none of the test speakers was seen; some were, and by whom; or it is
not known, since somebody was trained on nobody knows what.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from speechbrain_kd.evaluation.named_speakers import (
    UNNAMED,
    Speaker,
    SpeakerSet,
    named_set,
)
from speechbrain_kd.evaluation.speaker_files import is_file_of_ids, read_set

#: Who a learner is within a system, for the system's own training.
ITSELF = "itself"
_MOST_NAMED = 10


@dataclass(frozen=True)
class Learner:
    """One who learnt from speakers, and with whom a system goes to the test.

    Arguments
    ---------
    who : str
        ``"itself"``, ``"its teacher x"``, ``"the cohort"``.
    sets : Sequence[SpeakerSet]
        Speakers that it has met.
    unknown : Sequence[str]
        Names of data whose speakers nobody knows.
    """

    who: str
    sets: Sequence[SpeakerSet] = ()
    unknown: Sequence[str] = ()

    def renamed(self, who: str) -> "Learner":
        """The same under another name."""
        return replace(self, who=who)


@dataclass(frozen=True)
class Exposure:
    """What a system has met of the speakers of a list.

    Arguments
    ---------
    speakers : int
        Speakers of the list.
    shared : int
        How many of them anyone has met.
    by : dict[str, int]
        How many by whom.
    names : list[str]
        The first ten of them, sorted.
    unknown : list[str]
        What nobody knows, such as ``"its teacher x (3dspeaker-200k)"``.

    Example
    -------
    >>> Exposure(40, 2, {"itself": 2}, ["ann", "bob"]).label
    'contaminated: 2 of 40 test speakers seen by itself'
    >>> Exposure(40, unknown=["itself (3dspeaker-200k)"]).label
    'not known: itself (3dspeaker-200k)'
    """

    speakers: int
    shared: int = 0
    by: dict[str, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def contaminated(self) -> bool:
        """Whether a speaker of the list is known to have been met."""
        return self.shared > 0

    @property
    def mark(self) -> str:
        """What stands beside the system's name; empty where it is clean."""
        if self.contaminated:
            return "contaminated"
        return "test speakers not known to be new" if self.unknown else ""

    @property
    def label(self) -> str:
        """The whole of it, for a cell of a table."""
        if self.contaminated:
            who = " and ".join(self.by)
            return (
                f"contaminated: {self.shared:,} of {self.speakers:,} test "
                f"speakers seen by {who}"
            )
        if self.unknown:
            return f"not known: {', '.join(self.unknown)}"
        return f"none of {self.speakers:,}"


#: By list, then by system.
Exposures = Mapping[str, Mapping[str, Exposure]]


def learner(who: str, trained_on: Iterable[str]) -> Learner:
    """One who was trained on data that somebody has named.

    Arguments
    ---------
    who : str
        As `Learner` has it.
    trained_on : Iterable[str]
        Names of sets (``named_speakers.NAMES``) or files of ids; any other
        name is data whose speakers are not known.

    Returns
    -------
    Learner
        With nothing named, what it has seen is not known.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file of ids is not there or cannot be read, or this is no list.

    Example
    -------
    >>> one = learner("itself", ["voxceleb1-test", "our phone calls"])
    >>> len(one.sets[0].ids), one.unknown
    (40, ['our phone calls'])
    """
    if isinstance(trained_on, str):
        raise ValueError(
            f"trained_on: expected a list of names, got {trained_on!r}; write "
            f"[{trained_on}]"
        )
    sets, unknown = [], []
    for name in trained_on:
        known = named_set(name)
        if known is not None:
            sets.append(known)
        elif is_file_of_ids(name):
            sets += read_set(name)
        else:
            unknown.append(name)
    if not sets and not unknown:
        unknown = ["nothing is stated"]
    return Learner(who, sets, unknown)


def exposure(
    speakers: Iterable[Speaker], learners: Iterable[Learner]
) -> Exposure:
    """Counts the speakers that anyone has met.

    Arguments
    ---------
    speakers : Iterable[Speaker]
        Of a list (`trial_speakers`).
    learners : Iterable[Learner]
        All with whom a system goes to the test.

    Returns
    -------
    Exposure
        What they have met.

    Example
    -------
    >>> test = [Speaker("voxceleb1", "id10001")]
    >>> met = exposure(test, [learner("itself", ["voxceleb1-dev"])])
    >>> met.label
    'contaminated: 1 of 1 test speakers seen by itself'
    """
    speakers, met = set(speakers), set()
    by: dict[str, int] = {}
    unknown: list[str] = []
    if any(speaker.corpus == UNNAMED for speaker in speakers):
        unknown.append("the list does not name its speakers")
    for one in learners:
        its = {
            speaker
            for speaker in speakers
            if any(speaker in known for known in one.sets)
        }
        if its:
            by[one.who] = max(len(its), by.get(one.who, 0))
        if one.unknown:
            unknown.append(f"{one.who} ({', '.join(one.unknown)})")
        met |= its
    names = sorted(speaker.id for speaker in met)[:_MOST_NAMED]
    return Exposure(len(speakers), len(met), by, names, unknown)


def check_unseen(
    name: str, exposures: Mapping[str, Exposure], flag: str
) -> None:
    """Refuses a list whose speakers a system has met.

    Arguments
    ---------
    name : str
        Of the list.
    exposures : Mapping[str, Exposure]
        By system.
    flag : str
        The option that allows it, for the message.

    Raises
    ------
    ValueError
        Naming who has met how many, ten of the speakers, and the way out.
    """
    met = {who: one for who, one in exposures.items() if one.contaminated}
    if not met:
        return
    # One sentence where all systems have met the same, by one teacher.
    told: dict[str, list[str]] = {}
    for who, one in met.items():
        label = one.label.removeprefix("contaminated: ")
        told.setdefault(label, []).append(who)
    said = "; ".join(f"{', '.join(who)}: {what}" for what, who in told.items())
    worst = max(met.values(), key=lambda one: one.shared)
    more = worst.shared - len(worst.names)
    names = ", ".join(worst.names) + (f" and {more:,} more" if more else "")
    raise ValueError(
        f"the trial list {name} is contaminated ({said}). Shared speakers: "
        f"{names}. Error rates on them say nothing of new speakers: test on "
        "others, or take a teacher (or cohort) without them. To evaluate all "
        f"the same, marked in every table and card, give {flag}"
    )
