"""The one dataset pipeline: manifests to crops of waveforms and labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataset import add_dynamic_item, set_output_keys
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.data_pipeline import provides, takes

from speechbrain_kd.data.crops import Crops
from speechbrain_kd.data.mixed import NO_LABEL
from speechbrain_kd.data.speeds import pseudo_speaker, speed_classes
from speechbrain_kd.data.table import ManifestTable, TableDataset
from speechbrain_kd.data.views import Heard


class Store(Protocol):
    """What the pipeline needs of a ``TeacherStore``."""

    dim: int

    def read(
        self, utterance: str, view: int, crop_sum: int
    ) -> np.ndarray | None:
        """Gives the embedding [dim] of a view, if it is there."""


def make_dataset(
    csv_path: str | Path,
    data_root: str | Path | None,
    crops: Crops,
    label_encoder: CategoricalEncoder | None,
    stores: Mapping[int, Store] | None = None,
) -> TableDataset:
    """A dataset of crops: ``id``, ``sig`` and ``spk_id_encoded``.

    Arguments
    ---------
    csv_path : str | Path
        A manifest with the columns ID, duration, wav, start, stop, spk_id.
    data_root : str | Path | None
        What ``$data_root`` stands for in it.
    crops : Crops
        What to cut; ``Views`` give items of several waveforms.
    label_encoder : CategoricalEncoder | None
        The classes of the training speakers, at every speed of ``crops``;
        without it each utterance and speed has a number below 0, which is
        no class (``NO_LABEL`` and less).
    stores : Mapping[int, Store] | None
        What the teacher said of the views, by samples of a crop. Items then
        have two keys more: ``heard``, for each waveform what the teacher has
        yet to be asked (``None`` where its answer is stored; without a
        waveform where it is that of ``sig``), and ``target`` [copies, dim].

    Returns
    -------
    TableDataset
        Items of the keys that the Brain reads; batches are made by
        ``collate``.
    """
    dataset = TableDataset(ManifestTable.from_csv(csv_path, data_root))
    keys = ["id", "sig", "spk_id_encoded"]

    @takes("id", "wav", "stop")
    @provides("sig")
    def audio_pipeline(utterance, wav, stop):
        return crops.cut(utterance, wav, int(stop))

    @takes("id", "wav", "stop")
    @provides("sig", "heard", "target")
    def view_pipeline(utterance, wav, stop):
        wavs, heard = crops.shown(utterance, wav, int(stop))
        ask, target = read_targets(stores[crops.frames], heard)
        # Copies of a view may have one answer: its audio is read once.
        views = {one.view: one for one in ask if one}
        audio = {view: crops.fetched(views[view], wav) for view in views}
        return wavs, [one and audio[one.view] for one in ask], target

    speeds = sorted(set(crops.speeds))

    def own_place(utterance):
        """Another number for each utterance and speed."""
        place = dataset.data.position(utterance) * len(speeds)
        return place + speeds.index(crops.speed(utterance))

    @takes("id", "spk_id")
    @provides("spk_id_encoded")
    def label_pipeline(utterance, spk_id):
        if label_encoder is None:
            return torch.tensor([NO_LABEL - own_place(utterance)])
        heard_as = pseudo_speaker(spk_id, crops.speed(utterance))
        return label_encoder.encode_sequence_torch([heard_as])

    if stores is None:
        add_dynamic_item([dataset], audio_pipeline)
    else:
        add_dynamic_item([dataset], view_pipeline)
        keys += ["heard", "target"]
    add_dynamic_item([dataset], label_pipeline)
    set_output_keys([dataset], keys)
    return dataset


def read_targets(
    store: Store, heard: Sequence[Heard]
) -> tuple[list[Heard | None], torch.Tensor]:
    """What the teacher said, and what it has yet to be asked.

    Arguments
    ---------
    store : Store
        What it said.
    heard : Sequence[Heard]
        What it hears of a view.

    Returns
    -------
    tuple[list[Heard | None], torch.Tensor]
        ``None`` where the answer is known, else what to ask; the answers
        [copies, dim] in fp32, zeros where they are not known.
    """
    target = torch.zeros(len(heard), store.dim)
    ask: list[Heard | None] = list(heard)
    for row, one in enumerate(heard):
        found = store.read(one.utterance, one.view, one.crop_sum)
        if found is not None:
            target[row] = torch.from_numpy(found)
            ask[row] = None
    return ask, target


def collate(items: Sequence[Mapping[str, Any]]) -> PaddedBatch:
    """SpeechBrain's batch of crops, which are all of one length.

    Arguments
    ---------
    items : Sequence[Mapping[str, Any]]
        Items of ``make_dataset``. Those of several waveforms become as many
        rows.

    Returns
    -------
    PaddedBatch
        ``sig`` [rows, samples], nothing padded; ``id`` and ``heard`` are
        lists, ``target`` [rows, dim].
    """
    if "heard" in items[0]:
        items = [
            {
                "id": item["id"],
                "sig": item["sig"][row],
                "spk_id_encoded": item["spk_id_encoded"],
                "heard": item["heard"][row],
                "target": item["target"][row],
            }
            for item in items
            for row in range(len(item["sig"]))
        ]
    return PaddedBatch(
        items,
        padding_func=_stack,
        apply_default_convert=False,
        nonpadded_stack=False,
    )


def _stack(values: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Equally long values, and their relative lengths."""
    return torch.stack(values), torch.ones(len(values))


def make_label_encoder(
    speakers: Sequence[str],
    path: str | Path,
    speeds: Sequence[float] = (1.0,),
) -> CategoricalEncoder:
    """The classes of the training speakers, in the order of their names.

    Arguments
    ---------
    speakers : Sequence[str]
        Training speakers.
    path : str | Path
        ``label_encoder.txt``: written if absent, otherwise compared.
    speeds : Sequence[float]
        What they are heard at; pseudo-speakers come after the speakers.

    Returns
    -------
    CategoricalEncoder
        Class number by speaker name.

    Raises
    ------
    ValueError
        If the file holds other speakers: a run is resumed on other data.
    """
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(speed_classes(speakers, speeds))
    encoder.expect_len(len(encoder))
    path = Path(path)
    if path.is_file():
        known = CategoricalEncoder()
        known.load(path)
        if known.lab2ind != encoder.lab2ind:
            raise ValueError(
                f"{path} holds {len(known.lab2ind)} speakers of an earlier "
                f"run, the data folder has {len(encoder.lab2ind)} and they "
                "differ: give another output_folder, or the data and speeds "
                "of that run"
            )
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        encoder.save(path)
    return encoder
