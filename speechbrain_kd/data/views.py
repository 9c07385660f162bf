"""Views: what student and teacher hear of an utterance, countable.

View number v of an utterance is a crop and an augmentation, drawn from
generators that are seeded by (seed, utterance, v): the same bits in any worker,
batch, process or epoch. So what a teacher says of a view can be stored.
"""

from collections.abc import Sequence
from typing import NamedTuple

import speechbrain
import torch

from speechbrain_kd.data.audio import SAMPLE_RATE, load_audio
from speechbrain_kd.data.augment import (
    describe,
    draw_files,
    most_copies,
    seeded,
)
from speechbrain_kd.data.checksums import audio_sum, edge_sum
from speechbrain_kd.data.crops import Crops
from speechbrain_kd.data.speeds import change_speed

TARGETS = ("view", "clean", "whole")
"""What the teacher may hear of an utterance."""


class Heard(NamedTuple):
    """What the teacher hears of a view, and where its answer belongs.

    Arguments
    ---------
    utterance : str
        Its id.
    view : int
        Number in the store.
    crop_sum : int
        CRC-32 of the audio that the answer is bound to.
    wav : torch.Tensor | None
        Shape [samples]; ``None`` where only the place was asked for.
    """

    utterance: str
    view: int
    crop_sum: int
    wav: torch.Tensor | None = None


class Views(Crops):
    """A countable set of views of each utterance.

    Arguments
    ---------
    sentence_len : float
        Seconds of a crop.
    seed : int
        Seed of the views. Runs with one seed share what teachers said.
    views : int
        How many views of an utterance there are, shown in turn, one an epoch.
        With the target ``whole`` they are new in each epoch: what the teacher
        says does not depend on them.
    augment : torch.nn.Module | None
        SpeechBrain's ``Augmenter``, applied to each utterance alone.
    target : str
        What the teacher hears: the ``view``; its ``clean`` crop, without the
        augmentation; or the ``whole`` utterance, once at each speed.
    speeds : Sequence[float]
        As of ``Crops``; what the teacher hears is as fast.

    Raises
    ------
    ValueError
        If there is no such target, or less than one view.

    Example
    -------
    >>> views = Views(1.0, seed=1, views=8)
    >>> views.set_epoch(10)
    >>> views.number
    1
    """

    def __init__(
        self,
        sentence_len: float,
        seed: int,
        views: int = 8,
        augment: torch.nn.Module | None = None,
        target: str = "view",
        speeds: Sequence[float] = (1.0,),
    ) -> None:
        if views < 1:
            raise ValueError(f"teacher_views must be at least 1; got {views}")
        if target not in TARGETS:
            raise ValueError(
                f"teacher_target must be one of {', '.join(TARGETS)}; got "
                f"{target!r}"
            )
        views = 0 if target == "whole" else views
        super().__init__(sentence_len, seed, views=views, speeds=speeds)
        self.augment = augment
        self.target = target
        self.copies = most_copies(augment)
        self.described = describe(augment)
        if augment is not None:
            draw_files(augment)

    def recipe(self) -> dict:
        """All that a stored target depends on beside audio and teacher."""
        if self.target == "whole":
            return {"target": self.target}
        recipe = {
            "target": self.target,
            "view_seed": self.seed,
            "sentence_len": self.frames / SAMPLE_RATE,
        }
        if not self.one_speed:
            recipe["speeds"] = list(self.speeds)
        if self.target == "view" and self.augment is not None:
            recipe |= {
                "wav_augment": self.described,
                "speechbrain": speechbrain.__version__,
                "torch": torch.__version__.split("+")[0],
            }
        return recipe

    def shown(
        self,
        utterance: str,
        wav: str | torch.Tensor,
        frames: int,
        number: int | None = None,
    ) -> tuple[torch.Tensor, list[Heard]]:
        """A view of an utterance, and what the teacher hears of it.

        Arguments
        ---------
        utterance : str
            The id in the manifest.
        wav : str | torch.Tensor
            Its file; its waveform will do where ``target`` is not ``whole``.
        frames : int
            Its samples at 16 kHz.
        number : int | None
            Which view; by default the present one.

        Returns
        -------
        tuple[torch.Tensor, list[Heard]]
            Waveforms [copies, samples] for the student; for each of them what
            the teacher hears, with a waveform only where that is another of
            the same crop.
        """
        number = self.number if number is None else number
        read = self.read(utterance, wav, frames, number)
        speed = self.speed(utterance, number)
        clean = self.fit(change_speed(read, speed))
        # What is resampled may differ in its last bits on another machine.
        bound_to = clean if speed == 1.0 else read
        wavs = self._augmented(utterance, number, clean)
        if self.target == "whole":
            one = Heard(utterance, _place(speed), edge_sum(wav))
        elif self.target == "clean":
            one = Heard(utterance, number, audio_sum(bound_to), clean)
        else:
            view = number * self.copies
            one = Heard(utterance, view, audio_sum(bound_to))
            return wavs, [
                one._replace(view=one.view + copy) for copy in range(len(wavs))
            ]
        return wavs, [one] * len(wavs)

    def heard(
        self, utterance: str, wav: str, frames: int, number: int
    ) -> list[Heard]:
        """Every waveform that the teacher hears of a view, each once.

        Of whole utterances there is one view for each speed (``passes``).

        Arguments
        ---------
        utterance : str
            The id in the manifest.
        wav : str
            Its file.
        frames : int
            Its samples at 16 kHz.
        number : int
            Which view.

        Returns
        -------
        list[Heard]
            With their waveforms.
        """
        if self.target == "whole":
            (place,) = self.places(number)
            return [self.fetched(Heard(utterance, place, edge_sum(wav)), wav)]
        wavs, heard = self.shown(utterance, wav, frames, number)
        if self.target == "clean":
            return heard[:1]
        return [
            one._replace(wav=sig) for one, sig in zip(heard, wavs, strict=True)
        ]

    def fetched(self, one: Heard, wav: str) -> Heard:
        """With the whole utterance, where that is what the teacher hears."""
        if self.target != "whole":
            return one
        speed = _speed_at(one.view)
        return one._replace(wav=change_speed(load_audio(wav), speed))

    def passes(self, epochs: int) -> int:
        """How many views the teacher hears of an utterance in a training."""
        if self.target == "whole":
            return len(set(self.speeds))
        return min(self.views, epochs)

    def places(self, number: int) -> range:
        """Numbers in the store of what the teacher hears of a view."""
        if self.target == "whole":
            speeds = list(dict.fromkeys(self.speeds))
            place = _place(speeds[number % len(speeds)])
            return range(place, place + 1)
        copies = self.copies if self.target == "view" else 1
        return range(number * copies, (number + 1) * copies)

    def _augmented(
        self, utterance: str, number: int, clean: torch.Tensor
    ) -> torch.Tensor:
        """Waveforms [copies, samples] of a crop."""
        if self.augment is None:
            return clean.unsqueeze(0)
        with torch.no_grad(), seeded(self.seed, number, utterance):
            wavs, lens = self.augment(clean.unsqueeze(0), torch.ones(1))
        if len(wavs) > self.copies:
            raise ValueError(
                f"wav_augment made {len(wavs)} waveforms of one where "
                f"{self.copies} were expected: with teacher_views above 0 it "
                "must be SpeechBrain's Augmenter, or give one waveform"
            )
        lengths = (lens * wavs.shape[1]).round().long().clamp(min=1)
        cut = [
            self.fit(one[:length])
            for one, length in zip(wavs, lengths.tolist(), strict=True)
        ]
        # Where the augmenter drew fewer, the last is repeated: each view has
        # the same number, which makes a store complete or not.
        return torch.stack(cut + cut[-1:] * (self.copies - len(cut)))


def _place(speed: float) -> int:
    """Number in the store of a whole utterance: the same for any speeds."""
    return 0 if speed == 1.0 else round(100 * speed)


def _speed_at(place: int) -> float:
    """The speed whose number that is."""
    return place / 100 if place else 1.0
