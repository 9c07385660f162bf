"""One evaluation, from its options to its files."""

from argparse import Namespace
from collections.abc import Callable

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.evaluating.assess import assess
from speechbrain_kd.evaluating.exposing import expose
from speechbrain_kd.evaluating.given import Given, gather
from speechbrain_kd.evaluating.scoring import Scoring
from speechbrain_kd.evaluating.systems import (
    System,
    add_costs,
    embed_system,
    load_system,
)
from speechbrain_kd.evaluation.evaluation import Evaluation, Scored
from speechbrain_kd.evaluation.figures import slug
from speechbrain_kd.evaluation.hard_cases import hard_cases
from speechbrain_kd.evaluation.histories import read_history
from speechbrain_kd.evaluation.maps import speaker_maps
from speechbrain_kd.evaluation.page import write_page
from speechbrain_kd.evaluation.score_files import write_scores
from speechbrain_kd.evaluation.speakers import speaker_names
from speechbrain_kd.evaluation.tables import report_text


def run(options: Namespace, embedded: Callable[[], None]) -> str:
    """Evaluates.

    Arguments
    ---------
    options : Namespace
        Of ``speechbrain-kd evaluate``.
    embedded : Callable[[], None]
        Called when this process has embedded all that it found to do.

    Returns
    -------
    str
        The tables; empty where only embeddings were asked for.

    Raises
    ------
    ValueError, FileNotFoundError
        If something named is not there or cannot be used, or a system has
        met the speakers of a list.
    """
    given = gather(options)
    bar = not options.noprogressbar
    systems = {
        source.name: load_system(source, options.device)
        for source in given.sources
    }
    seen = {} if options.embed_only else expose(options, given, systems)
    for system in systems.values():
        embed_system(
            system,
            given.files,
            given.cohort,
            options.cache,
            options.device,
            bar,
            options.num_workers,
            options.backend == "plda",
        )
    embedded()
    if options.embed_only:
        return ""
    if not options.nocosts:
        for source in given.sources:
            add_costs(systems[source.name], source)
    scoring = Scoring(
        options.norm, options.top_k, options.centre, options.backend
    )
    lists = given.lists | given.blind
    scored = {
        name: {one: systems[one].score(trials, scoring) for one in systems}
        for name, trials in lists.items()
    }
    for name, trials in lists.items():
        for one, scores in scored[name].items():
            file = f"{slug(name)}.{slug(one)}.txt"
            write_scores(options.output / "scores" / file, trials, scores)
    if not given.lists:
        return "No list has labels: only scores were written."
    found = assess(options, given, systems, scored, scoring, seen)
    return publish(options, given, systems, scored, found)


def publish(
    options: Namespace,
    given: Given,
    systems: dict[str, System],
    scored: Scored,
    found: Evaluation,
) -> str:
    """Writes the tables and the page; gives the tables."""
    first, trials = next(iter(given.lists.items()))
    names = {name: speaker_names(one) for name, one in given.lists.items()}
    hard = {
        name: {
            one: hard_cases(
                given.lists[name], scores, names[name], result.threshold
            )
            for one, result in results.items()
            for scores in [scored[name][one]]
        }
        for name, results in found.results.items()
    }
    histories = {
        facts.name: read_history(facts.run_folder)
        for facts in found.systems
        if facts.run_folder is not None
    }
    maps = speaker_maps(
        {one: systems[one].rows_of(trials) for one in systems},
        trials.utterances,
        names[first],
        seed=options.seed,
    )
    text = report_text(found)
    with atomic_path(options.output / "report.md") as part:
        part.write_text(text, encoding="utf-8")
    labelled = {name: scored[name] for name in given.lists}
    write_page(
        options.output,
        found,
        labelled,
        given.lists,
        maps,
        histories,
        hard,
        options.title,
    )
    return text
