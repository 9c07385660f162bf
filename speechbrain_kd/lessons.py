"""What some teachers learn of the training set, before they are asked."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from speechbrain.utils.distributed import infer_device, run_on_main
from speechbrain.utils.run_opts import RunOptions

from speechbrain_kd.data.prepare import Corpus
from speechbrain_kd.data.table import ManifestTable
from speechbrain_kd.speed.threads import plan, usable_cores
from speechbrain_kd.teachers.heard import Heard

logger = logging.getLogger(__name__)

#: In the folder of all stores.
FOLDER = "learned"


def teach_teacher(
    hparams: Mapping[str, Any], corpus: Corpus, run_opts: RunOptions
) -> None:
    """Lets a teacher that ``learns`` hear the training set; others are left.

    The main rank asks; the others, and runs that are resumed or come later,
    read what it kept beside the stores.

    Arguments
    ---------
    hparams : Mapping[str, Any]
        Of the experiment: ``teacher``, ``distillation``, ``store_folder``,
        ``dataloader_options``.
    corpus : Corpus
        Its training and validation manifests.
    run_opts : RunOptions
        Where to ask, and whether to show a progress bar.
    """
    teacher = hparams["teacher"]
    if hparams["distillation"] is None or teacher is None:
        return
    if not teacher.learns:
        return
    device = torch.device(run_opts["device"] or infer_device())
    wanted = hparams["dataloader_options"].get("num_workers", 0)
    teacher.to(device)
    training, validation = (
        Heard(
            ManifestTable.from_csv(path, corpus.data_root),
            Path(hparams["store_folder"]) / FOLDER,
            device,
            plan(wanted, device.type, usable_cores()).readers,
            progressbar=not run_opts["noprogressbar"],
        )
        for path in (corpus.train_csv, corpus.valid_csv)
    )
    logger.info("%s learns from the training set", teacher.source)
    lesson = [training, validation if len(validation) else None]
    run_on_main(
        teacher.learn, args=lesson, post_func=teacher.learn, post_args=lesson
    )
