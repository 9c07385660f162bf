"""A plan: which cells are trained, of which students, and on what measured.

A cell is three lines: its name, a sentence, and options of ``train_kd.py``
that differ. `hparams/study/realvox.yaml` shows all that a plan may say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from speechbrain_kd.study.options import Pairs


@dataclass(frozen=True)
class Conditions:
    """What every model is measured under.

    Arguments
    ---------
    column : str | None
        Column of ``meta/speakers.csv`` whose values are measured each by
        itself, and averaged; null pools all trials.
    durations : tuple[float, ...]
        Seconds that test utterances are cut to.
    snrs : tuple[float, ...]
        Signal-to-noise ratios of test utterances, in dB.
    noise : str
        ``babble`` or ``white``.
    as_norm : int | None
        Speakers of adaptive s-norm that each side is most like, of the
        training's; null leaves scores alone.
    mapped : bool
        Whether the teacher also enrols by embeddings that are mapped into the
        student's space, by the training's utterances.
    """

    column: str | None = None
    durations: tuple[float, ...] = (1.0, 2.0, 5.0)
    snrs: tuple[float, ...] = (10.0,)
    noise: str = "babble"
    as_norm: int | None = None
    mapped: bool = False


@dataclass(frozen=True)
class Search:
    """A value that is searched on validation trials of training speakers.

    Arguments
    ---------
    key : str
        An option, with dots: ``distillation.weights.embedding``.
    values : tuple[str, ...]
        Those that are tried, as yaml.
    student : str | None
        With which student; null is the plan's first.
    """

    key: str
    values: tuple[str, ...]
    student: str | None = None


@dataclass(frozen=True)
class Cell:
    """One way to train a student.

    Arguments
    ---------
    name : str
        What tables and folders call it.
    says : str
        What it tries, a sentence.
    options : Pairs
        Of ``train_kd.py``; those of the cell it is like come first.
    against : str | None
        The cell that it is compared with.
    search : Search | None
        What is searched for it, or for the cell that it is like.
    owner : str
        The cell whose search that is: itself, or one that it is like.
    withhold : float
        Share of the training speakers whose labels are withheld; their
        utterances are in the folder that ``<withheld>`` stands for.
    """

    name: str
    says: str
    options: Pairs = ()
    against: str | None = None
    search: Search | None = None
    owner: str = ""
    withhold: float = 0.0


@dataclass(frozen=True)
class Plan:
    """All that a study is to do.

    Arguments
    ---------
    name : str
        Of the yaml.
    recipe : str
        The yaml that ``train_kd.py`` is given.
    places : dict[str, str | None]
        What ``<name>`` stands for in values; null must be given.
    options : Pairs
        Of every cell.
    students : dict[str, str]
        Fragments of the students, by name.
    seeds : tuple[int, ...]
        Of the runs that are measured.
    search_seed : int
        Of the runs that values are searched with; none of ``seeds``.
    teacher : str
        What is measured beside the students and enrols for them, as
        ``speechbrain-kd evaluate`` takes models; places in it.
    evaluate : Conditions
        What every model is measured under.
    cells : dict[str, Cell]
        By name.
    """

    name: str
    recipe: str
    places: dict[str, str | None]
    options: Pairs
    students: dict[str, str]
    seeds: tuple[int, ...]
    search_seed: int
    teacher: str
    evaluate: Conditions
    cells: dict[str, Cell] = field(default_factory=dict)

    def with_places(self, given: Mapping[str, str | None]) -> "Plan":
        """The plan with places that were given over its own."""
        told = {name: place for name, place in given.items() if place}
        return replace(self, places=self.places | told)
