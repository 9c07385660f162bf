"""The corpus that measurements read."""

from collections.abc import Mapping
from pathlib import Path

import torch

from speechbrain_kd.bench.common import Options
from speechbrain_kd.data.crops import Crops
from speechbrain_kd.data.prepare import Corpus, prepare_corpus
from speechbrain_kd.data.table import ManifestTable
from speechbrain_kd.inputs import EMBEDDED, make_embedded

#: Seconds of a crop.
CROP_S = 2.0


def corpus_of(options: Options) -> Corpus:
    """Prepares the data folder of the options in ``<work>/prepared``.

    Arguments
    ---------
    options : Options
        ``data_folder`` ``minivox`` or ``minivox-full`` stands for the
        embedded corpus, which is made on first use.

    Returns
    -------
    Corpus
        The split is that of a training with the default settings.
    """
    folder: str | Path = options.data_folder
    speakers = None
    if folder in EMBEDDED:
        speakers = EMBEDDED[folder]
        folder = make_embedded()
    return prepare_corpus(
        folder,
        options.work / "prepared",
        max_speakers=speakers,
        progressbar=False,
    )


def rows_of(corpus: Corpus, *splits: str) -> list[dict]:
    """The utterances of a corpus, as the training reads them.

    Arguments
    ---------
    corpus : Corpus
        Prepared.
    *splits : str
        ``train``, ``valid``.

    Returns
    -------
    list[dict]
        Rows of the manifests, in their order: ``id``, ``wav``, ``stop``, ...
    """
    manifests = {"train": corpus.train_csv, "valid": corpus.valid_csv}
    tables = [
        ManifestTable.from_csv(manifests[split], corpus.data_root)
        for split in splits
    ]
    return [table.row(at) for table in tables for at in range(len(table))]


def crop_of(crops: Crops, row: Mapping) -> torch.Tensor:
    """Reads the present crop [samples] of a row of a manifest."""
    return crops.cut(row["id"], row["wav"], int(row["stop"]))


def real_crops(options: Options, number: int) -> torch.Tensor:
    """Crops of the training utterances.

    Arguments
    ---------
    options : Options
        Of which corpus.
    number : int
        How many; where there are fewer utterances, they are taken again.

    Returns
    -------
    torch.Tensor
        Shape [number, samples], on the CPU.
    """
    rows = rows_of(corpus_of(options), "train")
    stride = max(1, len(rows) // number)
    crops = Crops(CROP_S, seed=1)
    chosen = [rows[at * stride % len(rows)] for at in range(number)]
    return torch.stack([crop_of(crops, row) for row in chosen])
