"""The tables of an evaluation in Markdown, for the terminal and a file."""

from collections.abc import Sequence

from speechbrain_kd.evaluation.evaluation import (
    CrossMatrix,
    Evaluation,
    PairedTest,
    SystemFacts,
)
from speechbrain_kd.evaluation.measuring import find_test
from speechbrain_kd.evaluation.page_text import marked, told
from speechbrain_kd.markdown import table

_BETTER, _WORSE, _NOISE = "better", "worse", "within the noise"


def report_text(found: Evaluation) -> str:
    """Writes all that was found as tables.

    Arguments
    ---------
    found : Evaluation
        What was found.

    Returns
    -------
    str
        Markdown.
    """
    parts = ["# Evaluation", "## Systems", _systems(found.systems)]
    for name in found.lists:
        some = next(iter(found.results[name].values()))
        parts += [
            f"## {name}",
            f"{some.trials:,} trials of {some.speakers:,} speakers: "
            f"{some.target_trials:,} of one speaker, "
            f"{some.impostor_trials:,} of two.",
            _results(found, name),
        ]
        if any(
            result.cllr is not None for result in found.results[name].values()
        ):
            parts.append(_calibrated(found, name))
    for matrix in found.cross:
        parts += [
            f"## {matrix.list}: a row enrols, a column verifies"
            f"{', enrolments mapped' if matrix.mapped else ''} (EER)",
            _matrix(matrix, found),
            *(f"Not compared: {pair}." for pair in matrix.skipped),
        ]
    for part in found.where:
        parts += [f"## {part.title} (EER)", part.what, _groups(part)]
    parts += ["## How this was made", _notes(found)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _systems(systems: Sequence[SystemFacts]) -> str:
    """What the systems are and cost."""
    header = ("system", "parameters", "GMAC per 2 s", "bytes")
    header += ("ms per s", "dimensions", "trained on", "source")
    rows = [
        (
            one.name,
            _whole(one.params),
            _number(one.gmac, ".3g"),
            _whole(one.bytes),
            _number(one.ms_per_second, ".3g"),
            str(one.dim),
            ", ".join(one.trained_on) or "not known",
            one.source,
        )
        for one in systems
    ]
    return table(header, rows)


def _results(found: Evaluation, name: str) -> str:
    """Error rates of all systems on a list, and how they differ."""
    results = found.results[name]
    some = next(iter(results.values()))
    priors, rates = list(some.min_dcf), list(some.tmr)
    header = ["system", "EER", f"{found.level:.0%} interval", "against"]
    header += [f"minDCF ({p:g})" for p in priors]
    header += ["interval", "against", "ROCCH EER", "min Cllr"]
    header += [f"TMR at {rate:.1%}" for rate in rates]
    header += ["AUC", "test speakers met before"]
    rows = []
    for system, result in results.items():
        eer, dcf = (
            find_test(found.differences, name, system, statistic)
            for statistic in ("eer", "min_dcf")
        )
        rows.append(
            [
                marked(found.seen, name, system),
                f"{result.eer:.2%}",
                _interval(result.eer_interval, ".2%"),
                _verdict(eer, ".2%"),
                *(f"{result.min_dcf[p]:.3f}" for p in priors),
                _interval(result.min_dcf_interval, ".3f"),
                _verdict(dcf, ".3f"),
                f"{result.rocch_eer:.2%}",
                f"{result.min_cllr:.3f}",
                *(f"{result.tmr[rate]:.1%}" for rate in rates),
                f"{result.auc:.4f}",
                told(found.seen, name, system),
            ]
        )
    return table(header, rows)


def _calibrated(found: Evaluation, name: str) -> str:
    """What calibration on other trials costs on this list."""
    results = found.results[name]
    priors = list(next(iter(results.values())).min_dcf)
    header = ["system", "Cllr", "min Cllr"]
    header += [
        f"{kind} ({p:g})" for p in priors for kind in ("actDCF", "minDCF")
    ]
    rows = []
    for system, result in results.items():
        row = [
            marked(found.seen, name, system),
            _number(result.cllr, ".3f"),
            f"{result.min_cllr:.3f}",
        ]
        for p in priors:
            actual = None if result.act_dcf is None else result.act_dcf[p]
            row += [_number(actual, ".3f"), f"{result.min_dcf[p]:.3f}"]
        rows.append(row)
    return table(header, rows)


def _matrix(matrix: CrossMatrix, found: Evaluation) -> str:
    """Rows enrol, columns verify."""
    names = {
        one: marked(found.seen, matrix.list, one) for one in matrix.systems
    }
    rows = [
        [
            names[one],
            *(
                _number(matrix.eer[one].get(two), ".2%")
                for two in matrix.systems
            ),
        ]
        for one in matrix.systems
    ]
    return table(["enrols \\ verifies", *names.values()], rows)


def _groups(part) -> str:
    """A row for each group of a breakdown."""
    systems = list(part.rates)
    rows = []
    for group in part.groups:
        row = [group, f"{part.trials[group]:,}"]
        for system in systems:
            rate = part.rates[system][group]
            row.append("too few" if rate is None else f"{rate:.2%}")
        rows.append(row)
    return table(["group", "trials", *systems], rows)


def _notes(found: Evaluation) -> str:
    """How it was made, a line each."""
    notes = [
        "EER: equal error rate. minDCF: least detection cost at that prior of "
        "a target trial, normalised by the better of accepting and rejecting "
        "all. TMR: true match rate at that false match rate.",
        "Intervals and tests resample speakers, not trials. 'Against' is the "
        f"difference from {found.systems[0].name} on the same resampled "
        "speakers; 'within the noise' means that its interval holds 0. "
        "Overlapping intervals of two systems are no test.",
        *found.notes,
        f"Measured on {found.machine}.",
    ]
    return "\n".join(f"- {note}" for note in notes)


def _verdict(test: PairedTest | None, form: str) -> str:
    """A difference from the reference in words."""
    if test is None:
        return "–"
    kind = _WORSE if test.value > 0 else _BETTER
    kind = kind if test.significant else _NOISE
    return f"{test.value:+{form}} {kind} (p {_p_value(test.p_value)})"


def _p_value(value: float) -> str:
    """A p-value with no more digits than it deserves."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _interval(interval, form: str) -> str:
    """Both ends."""
    if interval is None:
        return "–"
    return f"{interval.low:{form}} to {interval.high:{form}}"


def _whole(value: int | None) -> str:
    """A count, or a dash."""
    return "–" if value is None else f"{value:,}"


def _number(value: float | None, form: str) -> str:
    """A number, or a dash."""
    return "–" if value is None else f"{value:{form}}"
