"""What a run needs before anything is made: folder, teacher, data."""

import functools
import logging
from pathlib import Path

import speechbrain as sb
from speechbrain.augment.preparation import prepare_csv
from speechbrain.utils.data_utils import get_all_files
from speechbrain.utils.distributed import run_on_main

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.contamination import check_before_training
from speechbrain_kd.data.prepare import Corpus, load_corpus, prepare_corpus
from speechbrain_kd.data.speeds import speed_classes
from speechbrain_kd.data.unlabelled import (
    MANIFEST,
    forget_unlabelled,
    prepare_unlabelled,
)
from speechbrain_kd.experiment import Experiment, Tagged
from speechbrain_kd.process import run_training

logger = logging.getLogger(__name__)

#: Names that data_folder may have, and how many training speakers they hold:
#: a published teacher has seen more speakers than its student will.
EMBEDDED = {"minivox": 100, "minivox-full": None}
MINIVOX_FOLDER = Path("results/minivox")


def create_folder(experiment: Experiment) -> None:
    """Makes the run folder with its yaml and log."""
    folder = Path(experiment.values["output_folder"])
    sb.create_experiment_directory(str(folder))
    run_on_main(_write_yaml, args=[experiment, folder / "hyperparams.yaml"])


def _write_yaml(experiment: Experiment, path: Path) -> None:
    """Records what the run is made of."""
    with atomic_path(path) as part:
        part.write_text(
            f"# {experiment.file} with its overrides\n# yamllint disable\n"
            + experiment.resolved(),
            encoding="utf-8",
        )


def make_missing_teacher(experiment: Experiment) -> None:
    """Trains the teacher of the embedded corpus where it is missing.

    Arguments
    ---------
    experiment : Experiment
        Its ``teacher`` may be a run that does not exist yet, with the recipe
        that makes it.

    Raises
    ------
    ValueError
        If the run is another corpus's, which only a mistake would ask for.
    """
    teacher = experiment.values["teacher"]
    if not isinstance(teacher, Tagged) or not teacher.arguments.get("recipe"):
        return
    source, recipe = (teacher.arguments[key] for key in ("source", "recipe"))
    if not _is_embedded(experiment):
        raise ValueError(
            f"the teacher {source} is the embedded corpus's, but data_folder "
            f"is {experiment.values['data_folder']}: name a teacher for it "
            "(--teacher=hparams/teachers/NAME.yaml), or --teacher=null "
            "--distillation=null to train without one"
        )
    if not (Path(source) / "export" / "hyperparams.yaml").is_file():
        logger.info("No teacher in %s yet: training it by %s", source, recipe)
        command = [recipe, f"--output_folder={source}"]
        run_on_main(_train_apart, args=[command])


def _train_apart(arguments: list[str]) -> None:
    """Another run of this program, in a process of its own."""
    if run_training(arguments) != 0:
        raise ValueError(
            f"training the teacher failed: {' '.join(arguments)} (see above)"
        )


def _is_embedded(experiment: Experiment) -> bool:
    """Whether the data are the embedded corpus (not a list of folders)."""
    return experiment.values["data_folder"] in tuple(EMBEDDED)


def make_embedded() -> Path:
    """Makes the embedded corpus where it is missing; its folder."""
    # Imported here, as it asks for espeak-ng.
    from speechbrain_kd.data.minivox import make_minivox

    return make_minivox(MINIVOX_FOLDER)


def prepare_data(experiment: Experiment) -> Corpus:
    """Manifests of the corpus; counts the classes if the yaml does not.

    Arguments
    ---------
    experiment : Experiment
        ``data_folder`` ``minivox`` or ``minivox-full`` stands for the
        embedded corpus, which is made on first use. ``out_n_neurons: null``
        becomes the number of training speakers.

    Returns
    -------
    Corpus
        The prepared corpus.

    Raises
    ------
    ValueError
        If the data cannot be used, the classes do not fit, or the teacher
        has met the speakers of the trial list.
    """
    values = experiment.values
    if _is_embedded(experiment):
        run_on_main(make_embedded)
        speakers = values["max_speakers"] or EMBEDDED[values["data_folder"]]
        experiment.override(
            data_folder=str(MINIVOX_FOLDER), max_speakers=speakers
        )
        values = experiment.values
    run_on_main(
        prepare_corpus,
        kwargs={
            "data_folder": values["data_folder"],
            "save_folder": values["save_folder"],
            "verification_file": values["verification_file"],
            "split_ratio": values["split_ratio"],
            "seed": values["split_seed"],
            "single_utterance": values["single_utterance"],
            "on_broken": values["on_broken"],
            "skip_prep": values["skip_prep"],
            "max_speakers": values["max_speakers"],
        },
    )
    corpus = load_corpus(values["save_folder"])
    _list_unlabelled(values, corpus)
    check_before_training(values, corpus)
    if values["sample_rate"] != 16000:
        raise ValueError(
            f"sample_rate must be 16000, got {values['sample_rate']}: other "
            "files are resampled when read"
        )
    classes, speeds = values["out_n_neurons"], set(values["speeds"])
    count = len(speed_classes(corpus.speakers, values["speeds"]))
    of_what = "training speakers"
    if len(speeds) > 1:
        given = len(corpus.speakers)
        of_what = f"classes ({given} speakers, {len(speeds)} speeds)"
    if classes is None:
        experiment.override(out_n_neurons=count)
        path = Path(values["output_folder"]) / "hyperparams.yaml"
        run_on_main(_write_yaml, args=[experiment, path])
    elif classes < count:
        raise ValueError(
            f"out_n_neurons is {classes}, but {values['data_folder']} has "
            f"{count} {of_what}: give --out_n_neurons={count}, or "
            "null to have them counted"
        )
    elif classes > count:
        logger.warning(
            "out_n_neurons is %d for %d %s: %d classes stay empty",
            classes,
            count,
            of_what,
            classes - count,
        )
    return corpus


def _list_unlabelled(values: dict, corpus: Corpus) -> None:
    """Writes the manifest of the unlabelled audio, if there is any."""
    save_folder = Path(values["save_folder"])
    if values["unlabelled_folder"] is None:
        run_on_main(forget_unlabelled, args=[save_folder])
        return
    if values["skip_prep"] and (save_folder / MANIFEST).is_file():
        return
    run_on_main(
        prepare_unlabelled,
        kwargs={
            "folder": values["unlabelled_folder"],
            "corpus": corpus,
            "save_folder": save_folder,
            "on_broken": values["on_broken"],
            "allow_contaminated": values["allow_contaminated"],
        },
    )


def prepare_augmentation(prepare: functools.partial) -> None:
    """Prepares noises or impulse responses: downloaded, or a local folder's.

    Arguments
    ---------
    prepare : functools.partial
        Upstream's ``prepare_dataset_from_URL`` with its arguments. Where
        ``dest_folder`` already holds audio files, these are listed and
        nothing is downloaded.
    """
    settings = prepare.keywords
    folder = settings.get("dest_folder")
    files = []
    if folder is not None and Path(folder).is_dir():
        files = get_all_files(folder, match_and=[f".{settings['ext']}"])
    if not files:
        prepare()
    elif not Path(settings["csv_file"]).is_file():
        length = settings.get("max_length")
        prepare_csv(sorted(files), settings["csv_file"], length)
