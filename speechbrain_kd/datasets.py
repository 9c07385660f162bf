"""What a run trains on and validates on, as its yaml says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.distributed import run_on_main

from speechbrain_kd.data.corpus import Corpus
from speechbrain_kd.data.crops import Crops
from speechbrain_kd.data.mixed import MixedDataset
from speechbrain_kd.data.pipeline import make_dataset, make_label_encoder
from speechbrain_kd.data.table import TableDataset
from speechbrain_kd.data.unlabelled import MANIFEST
from speechbrain_kd.losses.term import DistillationTerm


def make_classes(
    hparams: Mapping[str, Any], corpus: Corpus
) -> CategoricalEncoder:
    """The classes of a run, kept in its folder.

    Arguments
    ---------
    hparams : Mapping[str, Any]
        Of the experiment.
    corpus : Corpus
        With the training speakers.

    Returns
    -------
    CategoricalEncoder
        Speakers, then pseudo-speakers. ValueError where the run was begun
        with others.
    """
    path = Path(hparams["save_folder"]) / "label_encoder.txt"
    classes = (corpus.speakers, path, hparams["speeds"])
    run_on_main(make_label_encoder, args=classes)
    return make_label_encoder(*classes)


def make_datasets(
    hparams: Mapping[str, Any],
    corpus: Corpus,
    encoder: CategoricalEncoder,
    crops: Crops,
    stores: dict | None,
) -> tuple[TableDataset | MixedDataset, TableDataset]:
    """The training and the validation data of a run.

    Arguments
    ---------
    hparams : Mapping[str, Any]
        Of the experiment.
    corpus : Corpus
        Prepared, with the unlabelled audio beside it if there is any.
    encoder : CategoricalEncoder
        The classes.
    crops : Crops
        What is shown of the training utterances.
    stores : dict | None
        What the teacher said of them, by samples of a crop.

    Returns
    -------
    tuple[TableDataset | MixedDataset, TableDataset]
        Of the second the utterances' starts, at their own speed.

    Raises
    ------
    ValueError
        If there is unlabelled audio and no term that takes it.
    """
    starts = Crops(hparams["sentence_len"], hparams["seed"], random=False)
    root = corpus.data_root
    train_data = make_dataset(corpus.train_csv, root, crops, encoder, stores)
    valid_data = make_dataset(corpus.valid_csv, root, starts, encoder)
    if hparams["unlabelled_folder"] is not None:
        train_data = _mixed(hparams, train_data, crops, stores)
    return train_data, valid_data


def _mixed(
    hparams: Mapping[str, Any],
    labelled: TableDataset,
    crops: Crops,
    stores: dict | None,
) -> MixedDataset:
    """The training data with unlabelled audio beside them."""
    terms = hparams["distillation"].terms
    if not any(_does_without_labels(term) for term in terms.values()):
        raise ValueError(
            "unlabelled_folder needs a term that compares embeddings, and all "
            f"of {', '.join(terms)} need labels or classes: add one, or give "
            "--unlabelled_folder=null"
        )
    path = Path(hparams["save_folder"]) / MANIFEST
    unlabelled = make_dataset(path, None, crops, None, stores)
    share = hparams["unlabelled_share"]
    speeds = len(set(hparams["speeds"]))
    hparams["distillation"].unlabelled = len(unlabelled) * speeds
    return MixedDataset(labelled, unlabelled, crops, share)


def _does_without_labels(term: DistillationTerm) -> bool:
    """Whether a term makes something of unlabelled utterances."""
    if term.compares == "logits":
        return False
    return term.takes_unlabelled or not term.needs_labels
