"""Error rates by the number of stored views, over seeds."""

from statistics import mean

from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.corpus import corpus_of
from speechbrain_kd.bench.runs import results, speed, train_run
from speechbrain_kd.seeds import interval, spread

#: Options that a student without a teacher does not take.
_TAUGHT = ("--distillation", "--teacher")


def measure(options: Options) -> dict:
    """Trains a student for each number of views and each seed.

    Arguments
    ---------
    options : Options
        ``teachers``: one fragment, by default the yaml's own; ``views``, of
        which 0 is online; ``seeds``. Finished runs are re-used.

    Returns
    -------
    dict
        ``eer``: in 0–1, by views and seed; ``baseline`` by seed.
    """
    corpus_of(options)
    common = ["--evaluate_teacher=False", *options.overrides]
    if options.teachers:
        common.append(f"--teacher={options.teachers[0]}")
    shared = [one for one in options.overrides if not one.startswith(_TAUGHT)]
    found, seconds, baseline = {}, {}, {}
    for seed in options.seeds:
        run = train_run(
            options,
            f"baseline_{seed}",
            "baseline",
            f"--seed={seed}",
            *shared,
            keep=True,
        )
        baseline[seed] = results(run)["model"]
        for views in options.views:
            run = train_run(
                options,
                f"views{views}_{seed}",
                "student",
                f"--seed={seed}",
                f"--teacher_views={views}",
                "--store_ahead=True",
                *common,
                keep=True,
            )
            found.setdefault(views, {})[seed] = results(run)["student"]
            seconds.setdefault(views, {})[seed] = speed(run)["total_s"]
    return {
        "student": options.student,
        "epochs": options.epochs,
        "baseline": baseline,
        "eer": found,
        "train_s": seconds,
    }


def report(facts: dict) -> str:
    """Markdown: every seed, mean and interval, difference to online."""
    rows = [_row("no teacher", facts["baseline"], None, None)]
    online = facts["eer"].get(0)
    for views, rates in facts["eer"].items():
        name = f"V = {views}" if views else "online, new views for ever"
        train_s = mean(facts["train_s"][views].values())
        rows.append(_row(name, rates, online if views else None, train_s))
    header = (
        f"{facts['student']}, {facts['epochs']} epochs",
        "EER %, each seed",
        "mean [95 % interval]",
        "minus online",
        "training, s",
    )
    return table(header, rows)


def _row(name, rates, online, train_s):
    """A line: rates by seed, and their paired difference to online."""
    percent = [100 * rate for rate in rates.values()]
    minus = None
    if online is not None:
        minus = spread(
            interval([100 * (rates[seed] - online[seed]) for seed in rates])
        )
    return (
        name,
        " · ".join(f"{rate:.2f}" for rate in percent),
        spread(interval(percent)),
        minus,
        train_s,
    )
