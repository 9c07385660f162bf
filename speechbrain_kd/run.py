"""One run of ``train_kd.py``: prepare, build the Brain, fit, finish."""

import logging
import sys

import speechbrain as sb
import torch
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.distributed import ddp_init_group, run_on_main
from speechbrain.utils.run_opts import RunOptions

from speechbrain_kd.brain import DistillationBrain
from speechbrain_kd.data.mixed import tables_of
from speechbrain_kd.data.pipeline import collate
from speechbrain_kd.data.prepare import Corpus
from speechbrain_kd.data.speeds import speed_classes
from speechbrain_kd.data.streamed import StreamedCrops, check_stream
from speechbrain_kd.data.table import TableDataset
from speechbrain_kd.datasets import make_classes, make_datasets
from speechbrain_kd.distributed import gather_objects, ranks
from speechbrain_kd.errors import EXPECTED
from speechbrain_kd.experiment import Experiment
from speechbrain_kd.finish import finish_run
from speechbrain_kd.inputs import (
    create_folder,
    make_missing_teacher,
    prepare_augmentation,
    prepare_data,
)
from speechbrain_kd.lessons import teach_objective, teach_teacher
from speechbrain_kd.speed.allocator import keep_freed_memory
from speechbrain_kd.speed.precision import warn_of_slow_bf16
from speechbrain_kd.speed.threads import settle, start_method
from speechbrain_kd.stored import fill_stores, open_views
from speechbrain_kd.teachers.store_files import StoreFull

logger = logging.getLogger(__name__)

_TRAIN_ONLY = ("shuffle", "sampler", "batch_sampler", "drop_last")


def main(arguments: list[str] | None = None) -> None:
    """Trains by a yaml, evaluates and exports.

    Arguments
    ---------
    arguments : list[str] | None
        The yaml, SpeechBrain's run options and overrides; by default the
        command line's. What is wrong with them or with the data ends the
        process with status 1 and one message, before any training.
    """
    brain, train_data, rest = ready(arguments)
    valid_data, corpus, experiment = rest
    try:
        if brain.stores is not None and experiment.values["store_ahead"]:
            fill_stores(brain, train_data)
        train(brain, train_data, valid_data)
        finish_run(brain, corpus, experiment.resolved())
    except KeyboardInterrupt:
        sys.exit(_stopped())
    except StoreFull as error:
        sys.exit(_message(error))


def ready(
    arguments: list[str] | None = None,
) -> tuple[DistillationBrain, TableDataset, tuple]:
    """All that precedes training: data prepared, everything made.

    Arguments
    ---------
    arguments : list[str] | None
        As ``main``'s.

    Returns
    -------
    tuple
        The Brain, the training data, and the rest: validation data, corpus,
        experiment.
    """
    keep_freed_memory()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not torch.cuda.is_available():
        arguments.append("--distributed_backend=gloo")
    hparams_file, run_opts, overrides = sb.parse_arguments(arguments)
    ddp_init_group(run_opts)
    try:
        experiment = Experiment(hparams_file, overrides)
        check_stream(experiment.values)
        create_folder(experiment)
        make_missing_teacher(experiment)
        corpus = prepare_data(experiment)
        brain, train_data, valid_data = build(experiment, corpus, run_opts)
    except (*EXPECTED, StoreFull) as error:
        logger.debug("Refused", exc_info=True)
        sys.exit(_message(error))
    except KeyboardInterrupt:
        sys.exit(_stopped())
    return brain, train_data, (valid_data, corpus, experiment)


def _stopped() -> int:
    """Says what Ctrl-C means for the run; its exit status."""
    logger.warning("Stopped. The same command goes on from here.")
    return 130


def _message(error: Exception) -> str:
    """The last line a person sees; exit status 1 goes with it."""
    return f"train_kd: error: {error}"


def build(
    experiment: Experiment, corpus: Corpus, run_opts: RunOptions
) -> tuple[
    DistillationBrain, torch.utils.data.Dataset, torch.utils.data.Dataset
]:
    """Makes everything that the yaml names.

    Returns
    -------
    tuple
        The Brain, the training and the validation data.
    """
    hparams = experiment.load()
    for key in ("prepare_noise_data", "prepare_rir_data"):
        if hparams[key] is not None:
            run_on_main(prepare_augmentation, args=[hparams[key]])
    encoder = make_classes(hparams, corpus)
    teach_teacher(hparams, corpus, run_opts)
    teach_objective(hparams, corpus, run_opts)
    views, stores = open_views(hparams)
    train_data, valid_data = make_datasets(
        hparams, corpus, encoder, views, stores
    )
    for store in (stores or {}).values():
        for table in tables_of(train_data):
            run_on_main(store.register, args=[table.ids])
    names = speed_classes(corpus.speakers, hparams["speeds"])
    brain = DistillationBrain(hparams, run_opts, views, names, stores)
    brain.report_targets(train_data.data)
    warn_of_slow_bf16(brain.precision, brain.device_type)
    options = hparams["dataloader_options"]
    wanted = options.get("num_workers", 0)
    options["num_workers"] = settle(wanted, brain.device_type).readers
    if hparams["stream"]:
        train_data = streamed(brain, train_data)
    return brain, train_data, valid_data


def streamed(
    brain: DistillationBrain, train_data: TableDataset
) -> StreamedCrops:
    """The training data, to be read in sequence.

    Arguments
    ---------
    brain : DistillationBrain
        Its checkpoints will hold how the data are divided.
    train_data : TableDataset
        The same data, read by random access.

    Returns
    -------
    StreamedCrops
        This rank's part.
    """
    options, (rank, world) = brain.hparams.dataloader_options, ranks()
    workers = gather_objects(options["num_workers"])
    if len(set(workers)) > 1:
        raise ValueError(
            "stream: True needs the same num_workers on all ranks, and they "
            f"have {workers}: give --num_workers={min(workers)}"
        )
    train_data = StreamedCrops(
        train_data,
        brain.hparams.data_folder,
        options["batch_size"],
        options["num_workers"],
        seed=brain.hparams.seed,
        rank=rank,
        world_size=world,
    )
    if isinstance(brain.checkpointer, Checkpointer):
        # Optional: the run may have been begun without a stream.
        brain.checkpointer.add_recoverable(
            "train_stream", train_data, optional_load=True
        )
    return train_data


def train(
    brain: DistillationBrain,
    train_data: torch.utils.data.Dataset,
    valid_data: torch.utils.data.Dataset,
) -> None:
    """Fits the Brain; goes on where an earlier run was interrupted."""
    options = loader_options(brain)
    valid_options = {
        key: value for key, value in options.items() if key not in _TRAIN_ONLY
    }
    brain.fit(
        brain.hparams.epoch_counter,
        train_data,
        valid_data,
        train_loader_kwargs={
            "shuffle": True,
            "drop_last": len(train_data) >= options["batch_size"] * ranks()[1],
        }
        | options,
        valid_loader_kwargs=valid_options,
    )


def loader_options(brain: DistillationBrain) -> dict:
    """The yaml's loader options, with what makes loading fast.

    Arguments
    ---------
    brain : DistillationBrain
        With ``dataloader_options``.

    Returns
    -------
    dict
        Workers that live on and read ahead; pinned memory for a GPU.
    """
    added = {"collate_fn": collate, "pin_memory": brain.device_type == "cuda"}
    options = brain.hparams.dataloader_options
    if options["num_workers"]:
        added |= {"persistent_workers": True, "prefetch_factor": 4}
    return added | start_method(options["num_workers"]) | options


if __name__ == "__main__":
    main()
