"""The README.md of an exported model: what is known, and nothing more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import speechbrain
import torch

import speechbrain_kd
from speechbrain_kd.export.card_text import (
    CITATION,
    LIMITS,
    TAGS,
    results_table,
    usage,
)


@dataclass(frozen=True)
class TeacherFacts:
    """Where a teacher came from.

    Arguments
    ---------
    source : str
        Folder, file or hub id.
    revision : str | None
        Commit of the hub repository.
    digests : Mapping[str, str]
        SHA-256 of its files, by name.
    trained_on : Sequence[str]
        The corpora it was trained on; empty if not known.
    """

    source: str
    revision: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    trained_on: Sequence[str] = ()


@dataclass(frozen=True)
class ModelCard:
    """What the card tells beyond what the modules themselves show.

    Arguments
    ---------
    name : str
        The card's title.
    corpus : str | None
        What the model was trained on.
    seed : int | None
        Seed of the training.
    teachers : Sequence[TeacherFacts]
        Empty for a model trained without a teacher.
    terms : Mapping[str, str]
        The training objective's terms by name, each with its class and
        settings in words (``"CosineEmbedding"``).
    weights : Mapping[str, float]
        The weight of each term.
    results : Mapping[str, Mapping[str, float | str | None]]
        By system (teacher, baseline, student): ``params``, ``gmac``,
        ``bytes``, ``ms_per_second``, ``eer``, ``min_dcf`` and ``seen``, as in
        ``results.json``; rates as fractions, minDCF at a target prior of 0.01.
        What is missing or None is shown as not measured; other keys are not
        shown.
    trials : str | None
        What the results were measured on.
    calibrated_on : str | None
        What the threshold was set on.
    thresholds : Mapping[float, float]
        Cosine to accept from, by prior of a target trial; costs are 1.
    licence : str | None
        Hub name of the licence of the weights, such as ``apache-2.0``.
    notes : Sequence[str]
        Further limits, a sentence each.
    """

    name: str
    corpus: str | None = None
    seed: int | None = None
    teachers: Sequence[TeacherFacts] = ()
    terms: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    results: Mapping[str, Mapping[str, float | str | None]] = field(
        default_factory=dict
    )
    trials: str | None = None
    calibrated_on: str | None = None
    thresholds: Mapping[float, float] = field(default_factory=dict)
    licence: str | None = None
    notes: Sequence[str] = ()


def model_card(
    card: ModelCard,
    *,
    threshold: float | None,
    classes: Mapping[str, str],
    parameters: int,
    packages: Sequence[str] = (),
    classifier_note: str | None = None,
) -> str:
    """Writes the card as Markdown with the hub's front matter.

    Arguments
    ---------
    card : ModelCard
        The facts.
    threshold : float | None
        The calibrated threshold.
    classes : Mapping[str, str]
        Class path of each module of the model.
    parameters : int
        Number of parameters of the encoder.
    packages : Sequence[str]
        Packages that are needed beside SpeechBrain.
    classifier_note : str | None
        Why there is no classifier, where there is none.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> text = model_card(
    ...     ModelCard("Tiny"),
    ...     threshold=None,
    ...     classes={"embedding_model": "my.Net"},
    ...     parameters=8,
    ... )
    >>> "# Tiny" in text and "Not measured" in text
    True
    """
    parts = [
        _front_matter(card),
        f"# {card.name}",
        _what(card, classes, parameters),
        "## Use",
        usage(threshold, packages),
        *([classifier_note] if classifier_note else []),
        "## Threshold",
        _threshold(card, threshold),
        "## Results",
        _results(card),
        "## Training",
        _training(card),
        "## Limits",
        _limits(card),
        "## Citation",
        CITATION,
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _front_matter(card: ModelCard) -> str:
    """The metadata that a hub reads."""
    lines = ["---"]
    if card.licence:
        lines.append(f"license: {card.licence}")
    lines += ["library_name: speechbrain", "tags:"]
    tags = [*TAGS, *(["knowledge-distillation"] if card.teachers else [])]
    lines += [f"- {tag}" for tag in tags]
    return "\n".join([*lines, "---"])


def _what(card: ModelCard, classes: Mapping[str, str], parameters: int) -> str:
    """What the model is and what it is made of."""
    origin = "distilled from a teacher" if card.teachers else "trained"
    lines = [
        f"A speaker encoder, {origin} with speechbrain_kd: 16 kHz mono speech "
        f"in, one embedding out; {parameters:,} parameters.",
        "",
        *(f"- {key}: `{name}`" for key, name in classes.items()),
    ]
    return "\n".join(lines)


def _threshold(card: ModelCard, threshold: float | None) -> str:
    """The threshold and where it comes from."""
    if threshold is None:
        return (
            "Not calibrated: SpeechBrain's default of 0.25 is not fitted to "
            "this model. Set one on trials of your own."
        )
    where = card.calibrated_on or "trials that are not stated"
    text = (
        f"{threshold:.4f} (cosine, at the EER), set on {where}. Other channels "
        "or languages need another. `verify_files` always decides at 0.25, "
        "`verify_batch` unless told otherwise."
    )
    if not card.thresholds:
        return text
    rows = "\n".join(
        f"| {p:g} | {at:.4f} |" for p, at in sorted(card.thresholds.items())
    )
    return (
        f"{text}\n\n| share of target trials | accept from |\n"
        f"| ---: | ---: |\n{rows}\n\nat equal costs of a miss and of a false "
        "acceptance, by `calibration.json`, which turns a score into a "
        "log-likelihood ratio, by the score alone or with durations and norms."
    )


def _results(card: ModelCard) -> str:
    """The table of results."""
    if not card.results:
        return "Not measured."
    where = card.trials or "trials that are not stated"
    return f"On {where}:\n\n{results_table(card.results)}"


def _training(card: ModelCard) -> str:
    """Corpus, seed, teachers and terms."""
    lines = [
        f"- Corpus: {card.corpus or 'not stated'}",
        f"- Seed: {'not stated' if card.seed is None else card.seed}",
    ]
    for teacher in card.teachers:
        lines += _teacher(teacher)
    if not card.teachers:
        lines.append("- Teacher: none")
    for name in dict.fromkeys([*card.terms, *card.weights]):
        weight = card.weights.get(name)
        told = "not stated" if weight is None else f"{weight:g}"
        what = f" ({card.terms[name]})" if name in card.terms else ""
        lines.append(f"- Term `{name}`{what}: weight {told}")
    lines.append(
        f"- Exported by speechbrain_kd {speechbrain_kd.__version__} with "
        f"SpeechBrain {speechbrain.__version__} and torch {torch.__version__}"
    )
    return "\n".join(lines)


def _teacher(teacher: TeacherFacts) -> list[str]:
    """What is known of a teacher."""
    revision = f" at revision `{teacher.revision}`" if teacher.revision else ""
    known = ", ".join(teacher.trained_on) or "not stated"
    return [
        f"- Teacher: `{teacher.source}`{revision}, trained on: {known}",
        *(
            f"    - `{name}` sha256 `{digest}`"
            for name, digest in teacher.digests.items()
        ),
    ]


def _limits(card: ModelCard) -> str:
    """What not to expect of the model."""
    limits = list(LIMITS)
    seen = sorted({name for one in card.teachers for name in one.trained_on})
    if seen:
        limits.append(
            f"The teacher was trained on {', '.join(seen)}: results on speech "
            "from there are contaminated through it."
        )
    if any(not one.trained_on for one in card.teachers):
        limits.append(
            "What a teacher was trained on is not stated, so that it may have "
            "heard the test speech."
        )
    for system, values in card.results.items():
        if str(values.get("seen", "")).startswith("contaminated"):
            limits.append(
                f"The results of the {system} above are no results on new "
                f"speakers; {values['seen']}."
            )
    return "\n".join(f"- {limit}" for limit in [*limits, *card.notes])
