"""The plan of the embedded corpus, and how one speaker of it is made."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.data.minivox_channel import (
    SAMPLE_RATE,
    ChannelSpace,
    draw_channel,
    record,
)
from speechbrain_kd.data.minivox_speech import Espeak
from speechbrain_kd.data.minivox_text import random_sentence
from speechbrain_kd.data.minivox_voices import (
    Voice,
    VoiceSpace,
    draw_voice,
    session,
    variant_text,
)

# Test speakers are numbered apart, so that more training speakers leave the
# test set, and with it all results, as they were.
FIRST_TEST_SPEAKER = 9001
_SPEAKER, _SESSION, _CHANNEL, _UTTERANCE, _TRIALS = range(5)
# Characters that a voice of rate 1 speaks in a second, pauses included.
CHARACTERS_PER_SECOND = 19.0


@dataclass(frozen=True)
class Plan:
    """All that the bytes of a corpus depend on.

    Arguments
    ---------
    num_train_speakers, num_test_speakers : int
        How many speakers to train on, and how many to test on.
    utterances_per_speaker, recordings_per_speaker : int
        Utterances go to the recordings in turn.
    seed : int
        Another seed makes another corpus.
    duration_s : tuple of float
        About how long utterances are.
    voices : VoiceSpace
        How speakers differ.
    channels : ChannelSpace
        How recordings differ.
    """

    num_train_speakers: int
    num_test_speakers: int
    utterances_per_speaker: int
    recordings_per_speaker: int = 4
    seed: int = 1986
    duration_s: tuple[float, float] = (2.5, 4.5)
    voices: VoiceSpace = field(default_factory=VoiceSpace)
    channels: ChannelSpace = field(default_factory=ChannelSpace)

    def __post_init__(self) -> None:
        for name, least, most in (
            ("num_train_speakers", 1, FIRST_TEST_SPEAKER - 1),
            ("num_test_speakers", 2, 9999 - FIRST_TEST_SPEAKER),
            ("recordings_per_speaker", 2, 999),
            ("utterances_per_speaker", self.recordings_per_speaker, 99999),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(
                    f"minivox: expected {name} from {least} to {most}, "
                    f"got {value}."
                )

    def rng(self, *key: int) -> np.random.Generator:
        """Random numbers of their own for each thing that is drawn."""
        return np.random.default_rng((self.seed, *key))

    def voice(self, speaker: int) -> Voice:
        """The voice of a speaker, by number."""
        return draw_voice(self.voices, self.rng(_SPEAKER, speaker))

    def speakers(self) -> dict[int, str]:
        """Numbers of all speakers, and whether they train or test."""
        train = range(1, 1 + self.num_train_speakers)
        test = range(
            FIRST_TEST_SPEAKER, FIRST_TEST_SPEAKER + self.num_test_speakers
        )
        return {**dict.fromkeys(train, "train"), **dict.fromkeys(test, "test")}

    def trial_rng(self) -> np.random.Generator:
        """Random numbers for the list of trials."""
        return self.rng(_TRIALS)

    def file(self, speaker: int, utterance: int) -> str:
        """Path of an utterance below ``wav/``."""
        turn, recording = divmod(utterance, self.recordings_per_speaker)
        return f"id1{speaker:04d}/rec{recording + 1:02d}/{turn + 1:05d}.wav"


def make_speaker(plan: Plan, wav: Path, speaker: int) -> None:
    """Makes all files of one speaker.

    Arguments
    ---------
    plan : Plan
        The corpus.
    wav : Path
        Where the folder of the speaker goes.
    speaker : int
        Its number.
    """
    voice = plan.voice(speaker)
    recordings = []
    for number in range(plan.recordings_per_speaker):
        key = (speaker, number)
        manner = session(voice, plan.voices, plan.rng(_SESSION, *key))
        channel = draw_channel(plan.channels, plan.rng(_CHANNEL, *key))
        recordings.append((manner, channel))
    with Espeak() as espeak, atomic_path(wav / f"id1{speaker:04d}") as part:
        for number in range(plan.utterances_per_speaker):
            rng = plan.rng(_UTTERANCE, speaker, number)
            (pitch_hz, rate), channel = recordings[number % len(recordings)]
            speed = CHARACTERS_PER_SECOND * rate
            text = random_sentence(
                rng, int(speed * rng.uniform(*plan.duration_s))
            )
            speech = espeak.say(
                text,
                voice.accent,
                variant_text(voice, pitch_hz, rate),
                int(rng.integers(1, 2**31)),
            )
            path = part.parent / plan.file(speaker, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, record(speech, channel, rng), SAMPLE_RATE)
