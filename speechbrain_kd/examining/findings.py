"""All that a look at a teacher found, as a text and as JSON."""

import dataclasses
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

from speechbrain_kd.evaluation.certainty import Interval
from speechbrain_kd.evaluation.evaluation import ListResult, plain
from speechbrain_kd.evaluation.seen import Exposure
from speechbrain_kd.examining.training import TrainingShare
from speechbrain_kd.teachers.card import TeacherCard
from speechbrain_kd.teachers.checked import FAIL, Check

_SHOWN = 4
_WIDTH = 14
_LINE = 62


@dataclass
class Findings:
    """What a look at a teacher found.

    Arguments
    ---------
    card : TeacherCard
        What it is.
    checks : list[Check]
        Whether it holds; empty where it was not checked.
    speech : str
        What it was checked on, or why it was not.
    ms : float | None
        Milliseconds for 2 s of speech on one thread of the CPU.
    threads : str
        What to add to the time.
    training : TrainingShare | None
        What it knows of the training set that was given.
    lists : dict[str, ListResult]
        Error rates by trial list.
    seen : dict[str, Exposure]
        What it has met of the speakers of each list.
    """

    card: TeacherCard
    checks: list[Check] = field(default_factory=list)
    speech: str = ""
    ms: float | None = None
    threads: str = ""
    training: TrainingShare | None = None
    lists: dict[str, ListResult] = field(default_factory=dict)
    seen: dict[str, Exposure] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """Names of the checks that failed."""
        return [one.name for one in self.checks if one.verdict == FAIL]

    def to_dict(self) -> dict[str, Any]:
        """All of it in what JSON knows."""
        seen = {
            name: dataclasses.asdict(one) | {"label": one.label}
            for name, one in self.seen.items()
        }
        return plain(
            dataclasses.asdict(self) | {"seen": seen, "failed": self.failed}
        )

    def text(self) -> str:
        """All of it for a terminal."""
        parts = [[self.card.source], _card(self.card, self.ms, self.threads)]
        if self.card.members:
            parts.append(["", "Made of"])
            parts += [_member(one) for one in self.card.members]
        parts.append(["", f"Checks: {self.speech}"])
        parts.append([_check(one) for one in self.checks])
        if self.training is not None:
            parts.append(["", "Training set", *_training(self.training)])
        if self.seen:
            parts.append(["", "Trials"])
            parts += [self._trials(name) for name in self.seen]
        return "\n".join(line for part in parts for line in part) + "\n"

    def _trials(self, name: str) -> list[str]:
        """What is known of a list."""
        result, lines = self.lists.get(name), []
        if result is not None:
            (prior, cost), *_ = result.min_dcf.items()
            lines = [
                f"EER {result.eer:.2%}{_interval(result.eer_interval, '.2%')}",
                f"minDCF ({prior:g}) {cost:.3f}"
                f"{_interval(result.min_dcf_interval, '.3f')}",
                f"{result.trials:,} trials of {result.speakers} speakers",
            ]
        seen = self.seen[name]
        label = f"test speakers met before: {seen.label}"
        lines.append(label + (f": {', '.join(seen.names)}" * bool(seen.names)))
        return [_row(name, lines[0]), *(_row("", line) for line in lines[1:])]


def _row(name: str, value: str) -> str:
    """A line of two columns."""
    return f"  {name:<{_WIDTH}}  {value}"


def _card(card: TeacherCard, ms: float | None, threads: str) -> list[str]:
    """The lines of a card."""
    rows = {
        "kind": card.kind,
        "parameters": _known(card.parameters, ","),
        "GMAC per 2 s": _known(card.gmac, ".3g"),
        "ms per 2 s": _known(ms, ".3g") + threads,
        "bytes": _known(card.bytes, ","),
        "dimensions": str(card.dim)
        if card.dim
        else "not known before it learns",
        "classes": _classes(card),
        "features": "; ".join(card.features),
        "trained on": ", ".join(card.trained_on) or "nobody says",
        "revision": card.revision or "none",
        "fingerprint": card.fingerprint,
    }
    lines = [_row(name, value) for name, value in rows.items()]
    for place, (name, digest) in enumerate(card.files.items()):
        lines.append(_row("" if place else "SHA-256", f"{digest}  {name}"))
    return lines


def _member(card: TeacherCard) -> list[str]:
    """A line on a teacher that another is made of."""
    return [
        _row(
            card.kind.split(" ")[0],
            f"{card.source}: {card.dim} dimensions, classes {_classes(card)}, "
            f"{_known(card.parameters, ',')} parameters, "
            f"{'; '.join(card.features)}",
        )
    ]


def _classes(card: TeacherCard) -> str:
    """How many, which, and what their scores are."""
    if not card.classes:
        return "none"
    names = card.labels or []
    shown = ", ".join(names[:_SHOWN]) + " …" * (len(names) > _SHOWN)
    named = f" ({shown})" if names else " without names"
    return f"{card.classes:,} by {card.scores}{named}"


def _check(check: Check) -> str:
    """A line on a check."""
    value = "" if check.value is None else f"{check.value:.2g}"
    if check.value is not None and check.limit is not None:
        value += f" (limit {check.limit:.0e})"
    name = f"{check.verdict:<4}  {check.name:<{_WIDTH - 4}}"
    return f"  {name}  {value:<21}  {check.what}"


def _training(share: TrainingShare) -> list[str]:
    """What can be said of a training set."""
    lines = [
        _row(
            "labels for",
            f"{share.known_speakers:,} of {share.speakers:,} speakers "
            f"({share.known_speakers / share.speakers:.1%}), "
            f"{share.known_utterances:,} of {share.utterances:,} utterances "
            f"({share.known_utterances / share.utterances:.1%})",
        )
    ]
    if share.why:
        return [*lines, *(_row("", line) for line in wrap(share.why, _LINE))]
    if share.missing:
        more = share.speakers - share.known_speakers - len(share.missing)
        names = ", ".join(share.missing) + (
            f" and {more:,} more" if more else ""
        )
        lines.append(_row("not known", f"{names}: embedding-level terms only"))
    return lines


def _interval(interval: Interval | None, form: str) -> str:
    """Both ends in brackets."""
    if interval is None:
        return ""
    return f" ({interval.low:{form}} to {interval.high:{form}})"


def _known(value: float | None, form: str) -> str:
    """A number, or that it is not known."""
    return "not counted" if value is None else f"{value:{form}}"
