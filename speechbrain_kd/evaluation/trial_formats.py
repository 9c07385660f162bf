"""The text files of verification protocols, line by line.

A trial list is recognised by its first line and then read strictly:

==================================  =========================================
``label enrol test``                VoxCeleb, labelled VoxSRC; label 1 or 0
``enrol test target|nontarget``     Kaldi
``enrol test label``                CN-Celeb; label 1 or 0
``enrol test``                      VoxSRC's blind lists
==================================  =========================================

Beside a list may lie Kaldi's ``spk2utt`` (the utterances that a model is
enrolled with) and ``wav.scp`` (the file of each utterance).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DIGITS = {"1": True, "0": False}
_WORDS = {"target": True, "nontarget": False}


@dataclass(frozen=True)
class TrialFormat:
    """Where the fields of a trial stand on a line.

    Arguments
    ---------
    columns : str
        The fields of a line, as people write them.
    enrol : int
        Column of the first of a pair; that of the second is the next.
    label : int | None
        Column of the label, or None.
    labels : dict[str, bool]
        What may stand there, and whether it means a target trial.
    """

    columns: str
    enrol: int
    label: int | None
    labels: dict[str, bool]

    @property
    def expected(self) -> str:
        """How a line of this format looks."""
        which = f" with label {' or '.join(sorted(self.labels))}"
        return f"'{self.columns}'{which if self.labels else ''}"

    def fits(self, fields: list[str]) -> bool:
        """Whether a line may be of this format."""
        return len(fields) == len(self.columns.split()) and (
            self.label is None or fields[self.label] in self.labels
        )


FORMATS = (
    TrialFormat("label enrol test", 1, 0, _DIGITS),
    TrialFormat("enrol test label", 0, 2, _WORDS),
    TrialFormat("enrol test label", 0, 2, _DIGITS),
    TrialFormat("enrol test", 0, None, {}),
)


@dataclass
class Pairs:
    """What a trial list says.

    Arguments
    ---------
    labels : list[bool] | None
        True for a target trial, None where the list has no labels.
    enrol : list[str]
        Name of the first of each pair.
    test : list[str]
        Name of the second.
    """

    labels: list[bool] | None
    enrol: list[str]
    test: list[str]


def read_pairs(path: Path) -> Pairs:
    """Reads a trial list in any of the `FORMATS`.

    Arguments
    ---------
    path : Path
        A text file in UTF-8. Blank lines are ignored.

    Returns
    -------
    Pairs
        The trials, in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line is of another format than the first one (with its number
        and content), or the file is not text or holds no trial.

    Example
    -------
    >>> path = getfixture("tmp_path") / "trials"
    >>> _ = path.write_text("s1 u1 target\\ns1 u2 nontarget\\n")
    >>> read_pairs(path)
    Pairs(labels=[True, False], enrol=['s1', 's1'], test=['u1', 'u2'])
    """
    lines = _fields_of(path, "trial list", "lines of 'label enrol test'")
    found = next(lines, None)
    if found is None:
        raise ValueError(
            f"{path}: no trial in the file; expected lines of "
            "'label enrol test', such as '1 id1/a/1.wav id1/b/2.wav'"
        )
    form = _recognise(path, *found)
    pairs = Pairs(None if form.label is None else [], [], [])
    columns = len(found[1])
    for number, fields in itertools.chain([found], lines):
        if len(fields) != columns:
            raise _bad_line(path, number, fields, form.expected)
        if form.label is not None:
            label = form.labels.get(fields[form.label])
            if label is None:
                raise _bad_line(path, number, fields, form.expected)
            pairs.labels.append(label)
        pairs.enrol.append(fields[form.enrol])
        pairs.test.append(fields[form.enrol + 1])
    return pairs


def read_models(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Reads with which utterances each model is enrolled.

    Arguments
    ---------
    path : str | Path
        Lines ``model utterance utterance …``, as Kaldi's ``spk2utt``.

    Returns
    -------
    dict[str, tuple[str, ...]]
        The utterances of each model. FileNotFoundError or ValueError says
        what is wrong, with the line.

    Example
    -------
    >>> path = getfixture("tmp_path") / "spk2utt"
    >>> _ = path.write_text("s1 s1-a s1-b\\ns2 s2-a\\n")
    >>> read_models(path)
    {'s1': ('s1-a', 's1-b'), 's2': ('s2-a',)}
    """
    expected = "'model utterance utterance …'"
    models: dict[str, tuple[str, ...]] = {}
    for number, fields in _fields_of(Path(path), "model map", expected):
        if len(fields) < 2:
            raise _bad_line(path, number, fields, expected)
        if fields[0] in models:
            raise ValueError(
                f"{path}, line {number}: model {fields[0]!r} comes twice; "
                "give all its utterances on one line"
            )
        models[fields[0]] = tuple(fields[1:])
    if not models:
        raise ValueError(f"{path}: no model; expected lines of {expected}")
    return models


def read_scp(path: str | Path) -> dict[str, str]:
    """Reads the file of each utterance.

    Arguments
    ---------
    path : str | Path
        Lines ``utterance file``, as Kaldi's ``wav.scp``. Kaldi also allows
        a command there; it is refused, never run.

    Returns
    -------
    dict[str, str]
        The files. FileNotFoundError or ValueError says what is wrong, with
        the line.

    Example
    -------
    >>> path = getfixture("tmp_path") / "wav.scp"
    >>> _ = path.write_text("s1-a wav/s1/a.wav\\n")
    >>> read_scp(path)
    {'s1-a': 'wav/s1/a.wav'}
    """
    expected = "'utterance file'"
    files: dict[str, str] = {}
    for number, fields in _fields_of(Path(path), "list of files", expected):
        if fields[-1].endswith("|"):
            raise ValueError(
                f"{path}, line {number}: {fields[0]!r} is read by a command "
                f"({' '.join(fields[1:])[:80]!r}), which is not run: write "
                "its output to a file and name that"
            )
        if len(fields) != 2:
            raise _bad_line(path, number, fields, expected)
        if files.setdefault(fields[0], fields[1]) != fields[1]:
            raise ValueError(
                f"{path}, line {number}: utterance {fields[0]!r} has two "
                f"files, {files[fields[0]]!r} and {fields[1]!r}"
            )
    return files


def _fields_of(
    path: Path, what: str, expected: str
) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of each line that is not blank."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such {what}")
    try:
        with open(path, encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                fields = line.split()
                if fields:
                    yield number, fields
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: not a text file in UTF-8 ({error}); expected {expected}"
        ) from error


def _recognise(path: Path, number: int, fields: list[str]) -> TrialFormat:
    """The first format that the first line may be of."""
    for form in FORMATS:
        if form.fits(fields):
            return form
    known = ", ".join(form.expected for form in FORMATS)
    raise _bad_line(path, number, fields, f"one of {known}")


def _bad_line(
    path: str | Path, number: int, fields: list[str], expected: str
) -> ValueError:
    """Says where a line cannot be read, and how it should look."""
    return ValueError(
        f"{path}, line {number}: expected {expected}, got "
        f"{' '.join(fields)[:200]!r}"
    )
