"""Everything that is measured of systems that have been scored."""

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.evaluating.calibrating import (
    Calibrated,
    calibrate,
    exported_calibration,
)
from speechbrain_kd.evaluating.crossing import Maps, cross_matrix, find_maps
from speechbrain_kd.evaluating.given import Given
from speechbrain_kd.evaluating.scoring import Scoring
from speechbrain_kd.evaluating.systems import System
from speechbrain_kd.evaluation.breakdown import Breakdown, by_column
from speechbrain_kd.evaluation.certainty import speaker_bootstrap
from speechbrain_kd.evaluation.evaluation import Evaluation, Scored
from speechbrain_kd.evaluation.figures import slug
from speechbrain_kd.evaluation.measuring import Measures, compare, measure_list
from speechbrain_kd.evaluation.report import describe_machine
from speechbrain_kd.evaluation.seen import Exposure, Exposures
from speechbrain_kd.evaluation.speakers import speaker_names, speakers_of
from speechbrain_kd.evaluation.trials import TrialList
from speechbrain_kd.evaluation.where import (
    by_duration,
    by_snr,
    tested_utterances,
)


def assess(
    options: Namespace,
    given: Given,
    systems: dict[str, System],
    scored: Scored,
    scoring: Scoring,
    seen: Exposures,
) -> Evaluation:
    """Measures all systems on all lists.

    Arguments
    ---------
    options : Namespace
        Of the command.
    given : Given
        What they name.
    systems : dict[str, System]
        By name, embedded; the reference first.
    scored : Scored
        Scores by list and system.
    scoring : Scoring
        How they were made.
    seen : Exposures
        What the systems have met of the lists' speakers.

    Returns
    -------
    Evaluation
        What was found.
    """
    measures = Measures(
        tuple(options.p_target),
        tuple(options.fmr),
        options.draws,
        options.level,
        options.seed,
    )
    calibrations = {
        name: exported_calibration(system, scoring)
        if given.calibration is None
        else calibrate(
            system,
            given.calibration,
            scoring,
            options.p_target[0],
            options.quality,
            given.files,
        )
        for name, system in systems.items()
    }
    if given.calibration is not None:
        _write_calibrations(options, calibrations)
    found = Evaluation(
        [system.facts for system in systems.values()],
        list(given.lists),
        {},
        notes=notes(options, given, scoring, calibrations),
        machine=describe_machine(),
        level=options.level,
        seen=seen,
    )
    maps = find_maps(systems) if options.map else {}
    _write_maps(options, maps)
    for name, trials in given.lists.items():
        speakers = speakers_of(trials)
        found.results[name] = {}
        for one, scores in scored[name].items():
            own = calibrations[one]
            llrs = own and own.llr(systems[one], scores, trials, given.files)
            found.results[name][one] = measure_list(
                scores, trials, speakers, measures, llrs
            )
        found.differences += compare(
            name, scored[name], trials, speakers, next(iter(systems)), measures
        )
        if options.cross:
            found.cross.append(cross_matrix(name, systems, trials, scoring))
        if options.map:
            found.cross.append(
                cross_matrix(name, systems, trials, scoring, maps)
            )
        parts = _where(
            options, given, name, systems, scored, measures, speakers
        )
        found.where += [_marked(part, seen[name]) for part in parts]
    return found


def _marked(part: Breakdown, seen: Mapping[str, Exposure]) -> Breakdown:
    """A breakdown that says which of its systems have met the speakers."""
    met = [f"{one}, {how.label}" for one, how in seen.items() if how.shared]
    said = "".join(f" Not on new speakers: {one}." for one in met)
    return replace(part, what=part.what + said)


def _where(
    options: Namespace,
    given: Given,
    name: str,
    systems: dict[str, System],
    scored: Scored,
    measures: Measures,
    speakers: np.ndarray,
) -> list[Breakdown]:
    """Error rates by column on every list, by audio on the first."""
    trials = given.lists[name]

    def interval(scores: np.ndarray, part: TrialList) -> object:
        # A part has the utterances of the whole.
        return speaker_bootstrap(
            scores, part, speakers, **measures.resampling("eer")
        )

    settings = {"interval": interval if measures.draws else None}
    found = []
    names = speaker_names(trials)
    for column, values in given.columns.items():
        if len({values.get(speaker) for speaker in names}) > 1:
            part = by_column(
                trials, scored[name], values, names, column, **settings
            )
            found.append(part)
    if name == next(iter(given.lists)):
        settings |= {
            "device": options.device,
            "progressbar": not options.noprogressbar,
        }
        audio = (
            {one: systems[one].model for one in systems},
            {one: systems[one].rows_of(trials) for one in systems},
            trials,
            {test: given.files[test] for test in tested_utterances(trials)},
        )
        if "durations" in options.where:
            found.append(by_duration(*audio, seed=options.seed, **settings))
        if "snr" in options.where:
            noisy = partial(by_snr, *audio, seed=options.seed, **settings)
            found += [noisy(noise=noise) for noise in ("babble", "white")]
    if len(given.lists) == 1:
        return found
    return [replace(one, title=f"{one.title}, {name}") for one in found]


def _write_maps(options: Namespace, maps: Maps) -> None:
    """Writes each map, for enrolments that are stored."""
    for (enrol, test), found in maps.items():
        path = options.output / "maps" / f"{slug(enrol)}.{slug(test)}.npz"
        with atomic_path(path) as part, part.open("wb") as file:
            np.savez(file, **vars(found))


def _write_calibrations(
    options: Namespace, calibrations: dict[str, Calibrated]
) -> None:
    """Keeps what was learnt, with thresholds where one number is enough."""
    for name, own in calibrations.items():
        facts = own.calibration.to_dict() | {"list": str(options.calibrate)}
        if not own.kinds and own.calibration.weights[0] > 0:
            facts["thresholds"] = {
                str(p): own.calibration.threshold(p) for p in options.p_target
            }
        path = options.output / "calibration" / f"{slug(name)}.json"
        with atomic_path(path) as part:
            text = json.dumps(facts, indent=2)
            part.write_text(text + "\n", encoding="utf-8")


def notes(
    options: Namespace,
    given: Given,
    scoring: Scoring,
    calibrations: dict[str, object],
) -> list[str]:
    """How the numbers were made, a sentence each."""
    said = [f"Trial lists: {', '.join(options.trials)}.", scoring.describe()]
    if given.cohort is not None:
        count = len(set(given.cohort.speakers))
        said.append(
            f"Cohort: {len(given.cohort.files):,} utterances of {count:,} "
            f"speakers of {options.cohort}."
        )
    if options.calibrate:
        measures = ["score", *options.quality]
        said.append(
            f"Calibrated on {options.calibrate} at a prior of "
            f"{options.p_target[0]:g}, by {', '.join(measures)}."
        )
    without = [name for name, one in calibrations.items() if one is None]
    if without:
        said.append(
            f"No actDCF and Cllr of {', '.join(without)}: they take a "
            "calibration made on other trials (--calibrate, or the "
            "calibration.json of an export)."
        )
    if options.where and (scoring != Scoring()):
        said.append("By duration and noise, scores are plain cosines.")
    if options.cross and scoring.backend != "cosine":
        said.append("Across systems, scores are plain cosines.")
    if given.blind:
        said.append(f"Without labels, only scored: {', '.join(given.blind)}.")
    if options.draws:
        said.append(f"{options.draws:,} draws of the bootstrap.")
    return said
