"""The sections of a hub's card that say what was measured and on whom."""

from collections.abc import Sequence

from speechbrain_kd.evaluation.certainty import Interval
from speechbrain_kd.evaluation.seen import ITSELF, Learner
from speechbrain_kd.export.card_text import COSTS, RATES, UNMEASURED, figure
from speechbrain_kd.export.hub_results import HubResults
from speechbrain_kd.markdown import table


def rates_text(results: HubResults, trials: str) -> str:
    """Rates with intervals, and on what.

    Arguments
    ---------
    results : HubResults
        What was measured.
    trials : str
        What the trial list is called.

    Returns
    -------
    str
        Markdown.
    """
    heads = ["system"]
    for head, _, _ in RATES.values():
        heads += [head, "interval"]
    rows = []
    for name, rates in results.systems.items():
        row = [name]
        for key, (_, form, scale) in RATES.items():
            interval = results.intervals.get(name, {}).get(key)
            row.append(figure(rates.get(key), form, scale))
            row.append(_between(interval, form, scale))
        rows.append(row)
    count = results.trials
    among = f" among {results.speakers} speakers" if results.speakers else ""
    lines = [
        f"On {trials}: {count['total']:,} trials ({count['target']:,} of one "
        f"speaker, {count['impostor']:,} of two){among}; cosines of whole "
        "utterances.",
        "",
        table(heads, rows),
    ]
    made = [one for of in results.intervals.values() for one in of.values()]
    if made:
        lines.append(
            f"Intervals hold {made[0].level:.0%} over speakers, by "
            f"{max(one.draws for one in made):,} draws of a bootstrap. "
            "The list (`label enrol test` lines) has the sha256 "
            f"`{results.trials_sha256}`."
        )
    lines.append("All of it in figures: `results.json`.")
    return "\n".join(lines)


def costs_text(results: HubResults | None, embedding_dim: int) -> str:
    """Size, work and time, and on what machine.

    Arguments
    ---------
    results : HubResults | None
        What was measured, if anything was.
    embedding_dim : int
        Numbers in an embedding.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> costs_text(None, 192)
    'An embedding is 192 numbers. Work and time were not measured.'
    """
    told = f"An embedding is {embedding_dim} numbers."
    if results is None:
        return f"{told} Work and time were not measured."
    heads = ["system", *(head for head, _, _ in COSTS.values())]
    rows = [
        [
            name,
            *(
                figure(values.get(key), form, scale)
                for key, (_, form, scale) in COSTS.items()
            ),
        ]
        for name, values in results.systems.items()
    ]
    return (
        f"{table(heads, rows)}\n"
        "GMAC: 10⁹ multiply-adds from the features of 2 s of speech to the "
        "embedding. kB: the float32 encoder as saved. Time: waveform to "
        "embedding, one thread, median, by PyTorch at the end of the run "
        f"({results.date[:10]}), whatever else the machine did then: "
        f"{results.machine}. {told}"
    )


def heard_text(learners: Sequence[Learner], results: HubResults | None) -> str:
    """Whose voices were learnt from, and what the test speakers are then.

    Arguments
    ---------
    learners : Sequence[Learner]
        The model itself and its teachers.
    results : HubResults | None
        What was measured, if anything was.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> heard_text([Learner("its teacher", unknown=["web"])], None)
    '- its teacher: web (speakers not known)'
    """
    lines = []
    for one in learners:
        who = "The model itself" if one.who == ITSELF else one.who
        known = [
            f"{part.name} ({len(part.ids):,} speakers)" for part in one.sets
        ]
        vague = [f"{name} (speakers not known)" for name in one.unknown]
        lines.append(f"- {who}: {', '.join([*known, *vague]) or 'not stated'}")
    if results is not None:
        for name, values in results.systems.items():
            seen = values.get("seen") or "not known"
            lines.append(f"- Test speakers met before by the {name}: {seen}")
    return "\n".join(lines) or "Not recorded."


def _between(interval: Interval | None, form: str, scale: float) -> str:
    """An interval, or that there is none."""
    if interval is None or not interval.draws:
        return UNMEASURED
    low, high = (form.format(scale * x) for x in (interval.low, interval.high))
    return f"{low} to {high}"
