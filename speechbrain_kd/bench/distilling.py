"""What a teacher costs: none, with stored views, online."""

from dataclasses import replace
from pathlib import Path
from statistics import mean

from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.corpus import corpus_of
from speechbrain_kd.bench.runs import arguments, run, speed, train_run
from speechbrain_kd.speed.timing import read_epochs

#: Epochs of the schedule that the last column speaks of, and its views.
_LONG, _VIEWS = 40, 8

#: Epochs of the runs online.
_ONLINE = 3

_RANDOM = "random-ecapa-c"


def measure(options: Options) -> dict:
    """Whole runs of one student: no teacher, then each teacher.

    Arguments
    ---------
    options : Options
        ``teachers`` are fragments, or ``random-ecapa-c512``: a teacher of
        that size with random weights, for its cost.

    Returns
    -------
    dict
        For each of ``teachers`` its runs, and those without it beside.
    """
    corpus_of(options)  # makes the embedded corpus
    names = options.teachers or (f"{_RANDOM}512",)
    return {
        "student": options.student,
        "batch_size": options.batch_size,
        "epochs": options.epochs,
        "teachers": {name: _measure_teacher(options, name) for name in names},
    }


def _measure_teacher(options: Options, name: str) -> dict:
    """Making the store, training with it, and online."""
    views = min(_VIEWS, options.epochs)
    stem = Path(name).stem
    stored = with_teacher(options, name, views)
    folder = options.work / "runs" / f"{stem}_store"
    given = [*arguments(options, folder, "student"), *stored]
    made = []
    for _ in range(2):  # the second time all is there
        run("speechbrain_kd.stored", *given)
        made.append(read_epochs(folder / "timing.jsonl")[-1])
    # An epoch online costs what any other does: a few say as much as all.
    few = replace(options, epochs=min(_ONLINE, options.epochs))
    asked = with_teacher(options, name, views=0)
    online = train_run(few, f"{stem}_online", "student", *asked)
    # A machine's speed drifts: without a teacher before and after.
    before = speed(train_run(options, "no_teacher", "baseline"))
    with_store = train_run(options, f"{stem}_stored", "student", *stored)
    after = speed(train_run(options, "no_teacher", "baseline"))
    return {
        "views": views,
        "store": made[0],
        "store_again": made[1],
        "stored": speed(with_store),
        "online": speed(online),
        "no_teacher_s": [before["train_s"], after["train_s"]],
    }


def with_teacher(options: Options, name: str, views: int) -> list[str]:
    """What a run of ``student.yaml`` is given to learn from a teacher.

    Arguments
    ---------
    options : Options
        With the students' folder.
    name : str
        As ``teacher_fragment`` takes it.
    views : int
        ``teacher_views``.

    Returns
    -------
    list[str]
        Overrides: embedding-level distillation, no test of the teacher.
    """
    terms = options.students.parent / "distillation" / "embedding.yaml"
    return [
        f"--teacher={teacher_fragment(options, name)}",
        f"--distillation={terms}",
        "--evaluate_teacher=False",
        f"--teacher_views={views}",
    ]


def teacher_fragment(options: Options, name: str) -> Path:
    """The yaml of a teacher, made where only its cost is asked for.

    Arguments
    ---------
    options : Options
        With the folder for what is made.
    name : str
        A fragment, or ``random-ecapa-c512`` and the like.

    Returns
    -------
    Path
        A fragment.
    """
    if not name.startswith(_RANDOM):
        return Path(name)
    path = options.work / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "!new:speechbrain_kd.bench.random_teacher.RandomEcapa\n"
        f"channels: {int(name[len(_RANDOM) :])}\n",
        encoding="utf-8",
    )
    return path


def report(facts: dict) -> str:
    """Markdown: seconds an epoch, ratios, and what a long run would cost."""
    rows = []
    for name, one in facts["teachers"].items():
        stem, views = Path(name).stem, one["views"]
        bare = mean(one["no_teacher_s"])
        rows.append(
            (f"no teacher, beside {stem}", bare, 1.0, None, None, _LONG * bare)
        )
        online, stored = one["online"]["train_s"], one["stored"]["train_s"]
        making = one["store"]["store_s"]
        overhead = making / one["store"]["teacher_s"]
        rows.append(
            (
                f"{stem}, stored (V={views})",
                stored,
                stored / bare,
                making,
                overhead,
                _LONG * stored + _VIEWS * making / views,
            )
        )
        rows.append(
            (
                f"{stem}, online",
                online,
                online / bare,
                None,
                None,
                _LONG * online,
            )
        )
    header = (
        f"{facts['student']}, batch {facts['batch_size']}",
        "s an epoch",
        "× no teacher",
        "making the store, s",
        "to its teacher's passes",
        f"{_LONG} epochs with V={_VIEWS}, s",
    )
    return table(header, rows) + (
        "\nThe last column is computed from the others. A teacher's passes are "
        "the time inside the teacher while the store was made. Asked again, "
        "the stores took "
        + ", ".join(
            f"{one['store_again']['store_s']:.1f} s and asked for "
            f"{one['store_again']['views_asked']} views"
            for one in facts["teachers"].values()
        )
        + ".\n"
    )
