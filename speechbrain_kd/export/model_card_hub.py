"""The card of an export for a hub: the run's own card, and what a hub adds.

What the export's README.md tells of the model, its threshold, its training
and its limits stays as it stands, with what a user has written into it. New
are the metadata that a hub reads, the use by the model's id, results with
intervals, what they cost and on what, and who has heard which speakers.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCardData

from speechbrain_kd.evaluation.seen import Learner
from speechbrain_kd.export.hub_results import HubResults
from speechbrain_kd.export.model_card_measured import (
    costs_text,
    heard_text,
    rates_text,
)

_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_FRONT = re.compile(r"\A---\n(.*?)^---\n", re.DOTALL | re.MULTILINE)
_WHERE = re.compile(r"^On (.+):$", re.MULTILINE)
_SOURCE = re.compile(r'source="FOLDER"\)(  # or a hub id)?')
#: A heading that no other card has.
HEARD = "Who has heard whom"
_NEEDED = ("Use", "Results", "Training", "Limits")


@dataclass(frozen=True)
class HubFacts:
    """What a hub's card tells beyond the export's own.

    Arguments
    ---------
    repo_id : str
        ``user/model``.
    results : HubResults | None
        What was measured; None without trials.
    learners : Sequence[Learner]
        The model itself and its teachers, with whom they have met.
    embedding_dim : int
        Numbers in an embedding.
    named_speakers : int
        Speakers whose names the uploaded files hold.
    datasets : Sequence[str]
        Ids of the training data, for the metadata.
    licence : str | None
        The hub's name of the licence of the weights; None if not stated.
    revision : str | None
        Branch that the model is on, if that is not ``main``.
    """

    repo_id: str
    results: HubResults | None
    learners: Sequence[Learner]
    embedding_dim: int
    named_speakers: int = 0
    datasets: Sequence[str] = ()
    licence: str | None = None
    revision: str | None = None


def hub_card(text: str, facts: HubFacts) -> str:
    """Writes the card of a hub from that of an export.

    Arguments
    ---------
    text : str
        The export's README.md.
    facts : HubFacts
        What is added.

    Returns
    -------
    str
        Markdown with the metadata of the hub.

    Raises
    ------
    ValueError
        If the text is no card of this package: a section is missing.

    Example
    -------
    >>> hub_card("# My notes", HubFacts("ann/tiny", None, [], 192))
    Traceback (most recent call last):
    ...
    ValueError: ... expected ... `## Use`, ...
    """
    head, first, sections = _parts(text)
    where = _WHERE.search(sections["Results"])
    trials = where[1] if where else "trials that are not stated"
    sections["Use"] = _use(sections["Use"], facts)
    if facts.results is not None:
        sections["Results"] = rates_text(facts.results, trials)
    sections["Cost"] = costs_text(facts.results, facts.embedding_dim)
    sections[HEARD] = heard_text(facts.learners, facts.results)
    sections["Limits"] += _names_told(facts)
    told = first.strip().partition("\n")[2].strip()
    body = [f"# {facts.repo_id.partition('/')[2]}", told]
    for name in _ordered(sections):
        body += [f"## {name}", sections[name]]
    metadata = _metadata(head, facts, trials)
    return "\n\n".join([f"---\n{metadata}\n---", *body]) + "\n"


def _parts(text: str) -> tuple[dict[str, Any], str, dict[str, str]]:
    """Metadata, what stands before the sections, and the sections."""
    front = _FRONT.match(text)
    try:
        head = yaml.safe_load(front[1]) if front else {}
    except yaml.YAMLError as error:
        raise ValueError(f"README.md: its metadata: {error}") from None
    if not isinstance(head, dict):
        raise ValueError(f"README.md: expected metadata by key, got {head!r}")
    first, *rest = _HEADING.split(text[front.end() :] if front else text)
    sections = dict(zip(rest[::2], map(str.strip, rest[1::2]), strict=True))
    for name in _NEEDED:
        if name not in sections:
            raise ValueError(
                f"README.md: expected the card of an export with `## {name}`, "
                f"got the sections {sorted(sections)}; export the run again"
            )
    return head, first, sections


def _ordered(sections: Mapping[str, str]) -> list[str]:
    """The headings, the new ones after the results."""
    new = ["Cost", HEARD]
    names = [name for name in sections if name not in new]
    at = names.index("Results") + 1
    return [*names[:at], *new, *names[at:]]


def _metadata(head: Mapping[str, Any], facts: HubFacts, trials: str) -> str:
    """The yaml that a hub reads; what a user has added stays."""
    own: dict[str, Any] = {"library_name": "speechbrain"}
    if facts.datasets:
        own["datasets"] = list(facts.datasets)
    if facts.licence:
        own["license"] = facts.licence
    rates = facts.results and _eval_results(facts.results, trials)
    if rates:
        head = {key: head[key] for key in head if key != "model-index"}
        own["metrics"] = sorted({one.metric_type for one in rates})
        own["model_name"] = facts.repo_id.partition("/")[2]
        own["eval_results"] = rates
    return ModelCardData(**{**head, **own}).to_yaml()


def _eval_results(results: HubResults, trials: str) -> list[EvalResult]:
    """The model's own rates, for the hub's index of results.

    An index is compared by machines, which read no marks: a rate on speakers
    that were met is not in it.
    """
    own = [name for name in results.systems if name != "teacher"]
    rates = results.systems[own[0]] if own else {}
    if not rates or str(rates.get("seen", "")).startswith("contaminated"):
        return []
    told = {
        "eer": ("EER %", 100 * rates["eer"]),
        "min_dcf": ("minDCF (0.01)", rates.get("min_dcf")),
    }
    slug = re.sub(r"[^\w-]+", "-", trials.rpartition(".")[0] or trials)
    return [
        EvalResult(
            task_type="speaker-verification",
            task_name="Speaker Verification",
            dataset_type=slug.strip("-").lower(),
            dataset_name=trials,
            dataset_args={
                "trials": results.trials.get("total"),
                "trials_sha256": results.trials_sha256,
            },
            metric_type=kind,
            metric_name=title,
            metric_value=round(value, 4),
        )
        for kind, (title, value) in told.items()
        if value is not None
    ]


def _use(text: str, facts: HubFacts) -> str:
    """How it is used, by its id."""
    source = f'source="{facts.repo_id}"'
    if facts.revision is None:
        return _SOURCE.sub(f"{source})", text)
    pinned = f'fetch_config=FetchConfig(revision="{facts.revision}")'
    text = _SOURCE.sub(f"\n    {source},\n    {pinned},\n)", text)
    line = "from speechbrain.utils.fetching import FetchConfig\n"
    return text.replace("\nverifier = ", f"\n{line}verifier = ", 1)


def _names_told(facts: HubFacts) -> str:
    """That names of speakers are published, where they are."""
    if not facts.named_speakers:
        return ""
    return (
        f"\n- The files name {facts.named_speakers:,} training speakers, as "
        "the training data call them."
    )
