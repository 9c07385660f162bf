"""The one dataset pipeline: manifests to crops of waveforms and labels."""

import hashlib
import math
from pathlib import Path

import torch
from speechbrain.dataio.dataset import (
    DynamicItemDataset,
    add_dynamic_item,
    set_output_keys,
)
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.data_pipeline import provides, takes

from speechbrain_kd.data.audio import SAMPLE_RATE, load_audio


class Crops:
    """Where to cut each utterance, the same in every process and run.

    A crop is drawn from a generator seeded by (seed, epoch, utterance), so
    it depends neither on the number of workers nor on what was loaded before,
    and a resumed epoch shows the crops that it would have shown.

    Arguments
    ---------
    sentence_len : float
        Seconds of a crop.
    seed : int
        The run's seed.
    random : bool
        If ``False`` every crop is the start of its utterance.
    views : int
        How many crops of an utterance there are, shown in turn, one an epoch;
        0 draws new ones for ever.

    Example
    -------
    >>> crops = Crops(2.0, seed=1)
    >>> crops.set_epoch(3)
    >>> start, frames = crops.bounds("id1--a--1", 80000)
    >>> (
    ...     frames,
    ...     0 <= start <= 48000,
    ...     crops.bounds("id1--a--1", 80000)[0] == start,
    ... )
    (32000, True, True)
    """

    def __init__(
        self,
        sentence_len: float,
        seed: int,
        random: bool = True,
        views: int = 0,
    ) -> None:
        self.seed = seed
        self.random = random
        self.views = views
        # In shared memory: loader workers that live on see the changes.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._frames = torch.zeros(1, dtype=torch.int64).share_memory_()
        self.set_sentence_len(sentence_len)

    def set_epoch(self, epoch: int) -> None:
        """Moves on to the crops of an epoch."""
        self._epoch.fill_(epoch % self.views if self.views else epoch)

    def view(self, utterance: str) -> str:
        """Names the present crop of an utterance among all its crops."""
        return f"{utterance}/{int(self._epoch)}/{int(self._frames)}"

    def set_sentence_len(self, sentence_len: float) -> None:
        """Sets the seconds of a crop."""
        if not isinstance(sentence_len, (int, float)) or sentence_len <= 0:
            raise ValueError(
                f"sentence_len must be positive seconds; got {sentence_len}"
            )
        self._frames.fill_(round(sentence_len * SAMPLE_RATE))

    def bounds(self, utterance: str, frames: int) -> tuple[int, int]:
        """First sample and number of samples of a crop at 16 kHz.

        Arguments
        ---------
        utterance : str
            The id in the manifest.
        frames : int
            Samples of the utterance at 16 kHz.

        Returns
        -------
        tuple[int, int]
            Start and length. The length is that of the utterance where this
            is shorter than the crop.
        """
        length = int(self._frames)
        if frames <= length or not self.random:
            return 0, min(frames, length)
        key = f"{self.seed}/{int(self._epoch)}/{utterance}"
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        share = int.from_bytes(digest, "big") / 2**64
        return int(share * (frames - length + 1)), length

    def cut(self, utterance: str, wav: str, frames: int) -> torch.Tensor:
        """Loads the crop of an utterance; a short one is repeated.

        Returns
        -------
        torch.Tensor
            Waveform [samples], always ``sentence_len`` long.
        """
        start, length = self.bounds(utterance, frames)
        sig = load_audio(wav, start, length)
        repeats = math.ceil(int(self._frames) / len(sig))
        return sig.repeat(repeats)[: int(self._frames)]


def make_dataset(
    csv_path: str | Path,
    data_root: str | Path | None,
    crops: Crops,
    label_encoder: CategoricalEncoder,
) -> DynamicItemDataset:
    """A dataset of crops: ``id``, ``sig`` and ``spk_id_encoded``.

    Arguments
    ---------
    csv_path : str | Path
        A manifest with the columns ID, duration, wav, start, stop, spk_id.
    data_root : str | Path | None
        What ``$data_root`` stands for in it.
    crops : Crops
        What to cut.
    label_encoder : CategoricalEncoder
        The classes of the training speakers.

    Returns
    -------
    DynamicItemDataset
        Items of the keys that the Brain reads.
    """
    dataset = DynamicItemDataset.from_csv(
        str(csv_path), replacements={"data_root": str(data_root or "")}
    )

    @takes("id", "wav", "stop")
    @provides("sig")
    def audio_pipeline(utterance, wav, stop):
        return crops.cut(utterance, wav, int(stop))

    @takes("spk_id")
    @provides("spk_id_encoded")
    def label_pipeline(spk_id):
        return label_encoder.encode_sequence_torch([spk_id])

    add_dynamic_item([dataset], audio_pipeline)
    add_dynamic_item([dataset], label_pipeline)
    set_output_keys([dataset], ["id", "sig", "spk_id_encoded"])
    return dataset


def make_label_encoder(
    speakers: list[str], path: str | Path
) -> CategoricalEncoder:
    """The classes of the training speakers, in the order of their names.

    Arguments
    ---------
    speakers : list[str]
        Training speakers.
    path : str | Path
        ``label_encoder.txt``: written if absent, otherwise compared.

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
    encoder.update_from_iterable(sorted(speakers))
    encoder.expect_len(len(encoder))
    path = Path(path)
    if path.is_file():
        known = CategoricalEncoder()
        known.load(path)
        if known.lab2ind != encoder.lab2ind:
            raise ValueError(
                f"{path} holds {len(known.lab2ind)} speakers of an earlier "
                f"run, the data folder has {len(encoder.lab2ind)} and they "
                "differ: give another output_folder, or the data of that run"
            )
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        encoder.save(path)
    return encoder
