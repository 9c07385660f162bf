"""Noise of many voices, made of other utterances."""

from collections.abc import Mapping
from pathlib import Path

import torch

from speechbrain_kd.data.audio import SAMPLE_RATE, load_audio
from speechbrain_kd.evaluation.changes import utterance_rng


class Babble:
    """Voices of other speakers talking at once, each equally loud.

    A speaker is the first folder of an utterance's name, as in VoxCeleb.

    Arguments
    ---------
    files : Mapping[str, str | Path]
        Utterances to take voices from.
    voices : int
        How many talk at once.
    bank : int
        Utterances kept in memory (their first 10 s), drawn by the seed.
    seed : int
        Seed of that draw.
    """

    def __init__(
        self,
        files: Mapping[str, str | Path],
        voices: int = 6,
        bank: int = 100,
        seed: int = 0,
    ) -> None:
        names = sorted(files)
        order = torch.randperm(
            len(names), generator=utterance_rng("babble", seed)
        )
        self.voices = voices
        self.bank: dict[str, torch.Tensor] = {}
        for index in order.tolist():
            name = names[index]
            wav = load_audio(files[name], frames=10 * SAMPLE_RATE)
            level = wav.square().mean().sqrt()
            if level > 0:
                self.bank[name] = wav / level
            if len(self.bank) == bank:
                break

    def __call__(
        self, utterance: str, samples: int, rng: torch.Generator
    ) -> torch.Tensor:
        """Babble for an utterance, [samples], without its own speaker.

        Arguments
        ---------
        utterance : str
            The utterance it will be added to.
        samples : int
            Its length.
        rng : torch.Generator
            Draws the voices and where each begins.
        """
        own = _speaker(utterance)
        others = [name for name in self.bank if _speaker(name) != own]
        if not others:
            raise ValueError(
                f"no babble for {utterance!r}: the {len(self.bank)} "
                "utterances to take voices from are all of its own speaker "
                "(the first folder of their names)"
            )
        picked = torch.randperm(len(others), generator=rng)[: self.voices]
        total = torch.zeros(samples)
        for index in picked.tolist():
            wav = self.bank[others[index]]
            start = int(torch.randint(len(wav), (1,), generator=rng))
            total += wav[(start + torch.arange(samples)) % len(wav)]
        return total


def _speaker(utterance: str) -> str:
    """The first folder of a name; the name itself where it has none."""
    return Path(utterance).parts[0]
