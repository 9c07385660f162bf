"""The teacher's answers of a run: opened, filled ahead, or by a command.

speechbrain-kd store hparams/student.yaml [OPTIONS] [--processes N]
"""

import argparse
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from speechbrain.utils.distributed import ddp_barrier, main_process_only

from speechbrain_kd.brain import DistillationBrain
from speechbrain_kd.data.crops import Crops
from speechbrain_kd.data.decoders import SAMPLE_RATE
from speechbrain_kd.data.mixed import MixedDataset, tables_of
from speechbrain_kd.data.table import ManifestTable, TableDataset
from speechbrain_kd.data.views import Heard, Views
from speechbrain_kd.speed.threads import usable_cores
from speechbrain_kd.speed.timing import note_epoch
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.build import BuildReport, build_views
from speechbrain_kd.teachers.store import TeacherStore
from speechbrain_kd.teachers.store_files import StoreFull

logger = logging.getLogger(__name__)

#: Options that a process beside this one gets from here.
_OURS = ("--skip_prep", "--noprogressbar")


def open_views(hparams: dict) -> tuple[Crops, dict | None]:
    """What is shown of the utterances, and what the teacher said of it.

    Arguments
    ---------
    hparams : dict
        Of the experiment.

    Returns
    -------
    tuple[Crops, dict | None]
        Without a teacher, or with ``teacher_views: 0``, crops that are new in
        each epoch, and no store.
    """
    teacher, length = hparams["teacher"], hparams["sentence_len"]
    count = hparams["teacher_views"]
    if teacher is None or hparams["distillation"] is None or not count:
        if hparams["teacher_target"] != "view" and teacher is not None:
            raise ValueError(
                f"teacher_target is {hparams['teacher_target']}, which is "
                "stored: give teacher_views of at least 1"
            )
        return Crops(length, hparams["seed"], speeds=hparams["speeds"]), None
    # What the teacher says of a whole utterance holds for any crop of it.
    whole = hparams["teacher_target"] == "whole"
    views = Views(
        length,
        hparams["seed" if whole else "view_seed"],
        count,
        hparams["wav_augment"],
        hparams["teacher_target"],
        hparams["speeds"],
    )
    lengths = [length]
    if hparams["large_margin"] is not None:
        lengths.append(hparams["large_margin"].sentence_len)
    return views, open_stores(hparams["store_folder"], teacher, views, lengths)


def open_stores(
    folder: str, teacher: Teacher, views: Views, lengths: Sequence[float]
) -> dict[int, TeacherStore]:
    """Opens the store of each length of crop.

    Arguments
    ---------
    folder : str
        Where all stores lie; runs share it.
    teacher : Teacher
        Whose answers they hold.
    views : Views
        What the teacher hears; left at the first length.
    lengths : Sequence[float]
        Seconds of a crop in each stage of the training.

    Returns
    -------
    dict[int, TeacherStore]
        By samples of a crop.
    """
    stores, known = {}, teacher.answer_fingerprint()
    for length in lengths:
        views.set_sentence_len(length)
        stores[views.frames] = TeacherStore(
            folder,
            teacher.source,
            known,
            teacher.answer_dim,
            views.recipe(),
        )
    views.set_sentence_len(lengths[0])
    return stores


def fill_stores(
    brain: DistillationBrain, dataset: TableDataset | MixedDataset
) -> dict[int, BuildReport]:
    """Asks the teacher for all that the training will show.

    Any number of processes, ranks and runs may do this at once: they divide
    the work.

    Arguments
    ---------
    brain : DistillationBrain
        With its teacher, views and stores.
    dataset : TableDataset
        The training utterances.

    Returns
    -------
    dict[int, BuildReport]
        What it took, by samples of a crop.
    """
    views, reports = brain.crops, {}
    for frames, store in brain.stores.items():
        views.set_sentence_len(frames / SAMPLE_RATE)
        parts = [_fill(brain, store, one) for one in tables_of(dataset)]
        reports[frames] = BuildReport(*map(sum, zip(*parts, strict=True)))
        logger.info(
            "%s: the teacher was asked for %d views in %.1f s; %d were there",
            store.path,
            reports[frames].asked,
            reports[frames].seconds,
            reports[frames].kept,
        )
        main_process_only(note_epoch)(
            Path(brain.hparams.output_folder) / "timing.jsonl",
            views_asked=reports[frames].asked,
            views_kept=reports[frames].kept,
            store_s=reports[frames].seconds,
            teacher_s=reports[frames].teacher_s,
        )
    views.set_sentence_len(brain.hparams.sentence_len)
    ddp_barrier()
    return reports


def _fill(
    brain: DistillationBrain, store: TeacherStore, table: ManifestTable
) -> tuple[int, int, float, float]:
    """Asks for the present length of crops; a ``BuildReport``'s numbers."""
    views = brain.crops

    def heard(position: int, number: int) -> list[Heard]:
        row = table.row(position)
        return views.heard(row["id"], row["wav"], int(row["stop"]), number)

    report = build_views(
        store,
        brain.teacher,
        table.ids,
        heard,
        views.passes(brain.hparams.epoch_counter.limit),
        device=brain.device,
        batch_size=brain.hparams.dataloader_options["batch_size"],
        num_workers=brain.hparams.dataloader_options["num_workers"],
        progressbar=not brain.noprogressbar,
        store_views=views.places,
    )
    return astuple(report)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fills the store of an experiment, and trains nothing.

    Arguments
    ---------
    arguments : Sequence[str] | None
        As for ``train_kd.py``, and ``--processes``: so many share the work.
    """
    parser = argparse.ArgumentParser(
        prog="speechbrain-kd store",
        description="Asks the teacher ahead, and trains nothing.",
        epilog="All else is as for train_kd.py.",
        allow_abbrev=False,
    )
    parser.add_argument("--processes", type=int, default=1)
    options, rest = parser.parse_known_args(arguments)
    if options.processes > 1:
        # Before torch makes its threads.
        threads = str(max(1, usable_cores() // options.processes))
        os.environ.setdefault("OMP_NUM_THREADS", threads)
    from speechbrain_kd.run import ready

    brain, data, _ = ready(rest)
    if brain.stores is None:
        sys.exit(
            "store: error: nothing to store: it takes a teacher, distillation "
            "and teacher_views of at least 1"
        )
    # Prepared above, so the others only read.
    command = [sys.executable, "-m", "speechbrain_kd.stored"]
    command += [one for one in rest if not one.startswith(_OURS)]
    command += ["--skip_prep=True", "--noprogressbar"]
    others = [subprocess.Popen(command) for _ in range(1, options.processes)]
    try:
        fill_stores(brain, data)
    except StoreFull as error:
        sys.exit(f"store: error: {error}")
    except KeyboardInterrupt:
        logger.warning("Stopped. The same command goes on from here.")
        sys.exit(130)
    finally:
        failed = [other.wait() for other in others]
    if any(failed):
        sys.exit("store: error: a process failed (see above)")


if __name__ == "__main__":
    main()
