"""Where to cut the utterances: the same crops in every process and run."""

import hashlib
import math
from collections.abc import Sequence

import torch

from speechbrain_kd.data.audio import SAMPLE_RATE, load_audio
from speechbrain_kd.data.speeds import change_speed, check_speeds, source_frames


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
    speeds : Sequence[float]
        What the utterances are heard at, drawn alike; speech at another speed
        than 1.0 is a pseudo-speaker's.

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
        speeds: Sequence[float] = (1.0,),
    ) -> None:
        self.seed = seed
        self.speeds = check_speeds(speeds)
        self.one_speed = set(self.speeds) == {1.0}
        self.random = random
        self.views = views
        # In shared memory: loader workers that live on see the changes.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._frames = torch.zeros(1, dtype=torch.int64).share_memory_()
        self.set_sentence_len(sentence_len)

    def set_epoch(self, epoch: int) -> None:
        """Moves on to the crops of an epoch."""
        self._epoch.fill_(epoch)

    @property
    def epoch(self) -> int:
        """The present epoch."""
        return int(self._epoch)

    @property
    def number(self) -> int:
        """Which crop of every utterance is shown at present."""
        return max(self.epoch - 1, 0) % self.views if self.views else self.epoch

    @property
    def frames(self) -> int:
        """Samples of a crop at present."""
        return int(self._frames)

    def set_sentence_len(self, sentence_len: float) -> None:
        """Sets the seconds of a crop."""
        if not isinstance(sentence_len, (int, float)) or sentence_len <= 0:
            raise ValueError(
                f"sentence_len must be positive seconds; got {sentence_len}"
            )
        self._frames.fill_(round(sentence_len * SAMPLE_RATE))

    def speed(self, utterance: str, number: int | None = None) -> float:
        """How fast an utterance is heard.

        Arguments
        ---------
        utterance : str
            The id in the manifest.
        number : int | None
            Which crop; by default the present one.

        Returns
        -------
        float
            One of ``speeds``.
        """
        if self.one_speed:
            return 1.0
        share = self._share(utterance, number, "/speed")
        return self.speeds[int(share * len(self.speeds))]

    def _share(
        self, utterance: str, number: int | None, what: str = ""
    ) -> float:
        """A number in [0, 1) that is drawn for a crop."""
        number = self.number if number is None else number
        key = f"{self.seed}/{number}/{utterance}{what}"
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    def bounds(
        self, utterance: str, frames: int, number: int | None = None
    ) -> tuple[int, int]:
        """First sample and number of samples of a crop at 16 kHz.

        Arguments
        ---------
        utterance : str
            The id in the manifest.
        frames : int
            Samples of the utterance at 16 kHz.
        number : int | None
            Which crop; by default the present one.

        Returns
        -------
        tuple[int, int]
            Start and length, before the speed is changed. The length is that
            of the utterance where this is shorter than the crop.
        """
        length = source_frames(self.frames, self.speed(utterance, number))
        if frames <= length or not self.random:
            return 0, min(frames, length)
        share = self._share(utterance, number)
        return int(share * (frames - length + 1)), length

    def cut(
        self,
        utterance: str,
        wav: str | torch.Tensor,
        frames: int,
        number: int | None = None,
    ) -> torch.Tensor:
        """Loads a crop of an utterance; a short one is repeated.

        Arguments
        ---------
        utterance : str
            The id in the manifest.
        wav : str | torch.Tensor
            Its file, or its waveform [samples].
        frames : int
            Its samples at 16 kHz.
        number : int | None
            Which crop; by default the present one.

        Returns
        -------
        torch.Tensor
            Waveform [samples], always ``sentence_len`` long.
        """
        read = self.read(utterance, wav, frames, number)
        return self.fit(change_speed(read, self.speed(utterance, number)))

    def read(
        self,
        utterance: str,
        wav: str | torch.Tensor,
        frames: int,
        number: int | None = None,
    ) -> torch.Tensor:
        """As ``cut``, before the speed is changed and the length is fitted."""
        return load_crop(wav, *self.bounds(utterance, frames, number))

    def fit(self, sig: torch.Tensor) -> torch.Tensor:
        """Repeats or cuts a waveform [samples] to the length of a crop."""
        if len(sig) == self.frames:
            return sig
        repeats = math.ceil(self.frames / len(sig))
        return sig.repeat(repeats)[: self.frames]


def load_crop(wav: str | torch.Tensor, start: int, frames: int) -> torch.Tensor:
    """A crop of a file, or of a waveform that was decoded before.

    Arguments
    ---------
    wav : str | torch.Tensor
        The file, or the waveform [samples] at 16 kHz.
    start : int
        First sample of the crop.
    frames : int
        Samples of the crop.

    Returns
    -------
    torch.Tensor
        Shape [samples].
    """
    if isinstance(wav, torch.Tensor):
        # A view would keep the whole in memory, between processes too.
        return wav[start : start + frames].clone()
    return load_audio(wav, start, frames)
