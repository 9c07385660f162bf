"""The list of trials of the embedded corpus."""

import numpy as np

from speechbrain_kd.data.minivox_voices import Voice

TARGETS_PER_SPEAKER = 50
IMPOSTORS_PER_SPEAKER = 120

Utterance = tuple[int, int]


def make_trials(
    voices: dict[int, Voice],
    utterances_per_speaker: int,
    recordings_per_speaker: int,
    rng: np.random.Generator,
) -> list[tuple[int, Utterance, Utterance]]:
    """Draws trials: targets across recordings, impostors near and far.

    Half of the impostors are among the speaker's nearest third in pitch and
    vocal tract of the same gender, or the task would be to tell high voices
    from low ones.

    Arguments
    ---------
    voices : dict of int to Voice
        The test speakers, by number.
    utterances_per_speaker, recordings_per_speaker : int
        Utterances go to the recordings in turn.
    rng : numpy.random.Generator
        Randomness.

    Returns
    -------
    list of tuple
        Label (1 target, 0 impostor), enrolment and test utterance, each as
        numbers of speaker and utterance; no pair comes twice.
    """
    count, trials = utterances_per_speaker, []
    pairs = [
        (one, two)
        for one in range(count)
        for two in range(one + 1, count)
        if (one - two) % recordings_per_speaker
    ]
    for speaker in voices:
        chosen = rng.permutation(len(pairs))[:TARGETS_PER_SPEAKER]
        for one, two in (pairs[index] for index in sorted(chosen)):
            trials.append((1, (speaker, one), (speaker, two)))
        trials += _impostors(speaker, voices, count, rng)
    return trials


def _impostors(
    speaker: int,
    voices: dict[int, Voice],
    count: int,
    rng: np.random.Generator,
) -> list[tuple[int, Utterance, Utterance]]:
    """Impostor trials in which a speaker enrols."""
    everyone = [other for other in voices if other != speaker]
    near = nearest_voices(speaker, voices)
    # A pair of files is one trial whichever way round: the turn of a pair of
    # speakers goes by the parity of the files.
    # Asking for half of the pairs at most keeps the draw quick.
    wanted = min(IMPOSTORS_PER_SPEAKER, count * count * len(everyone) // 4)
    wanted_near = min(wanted // 2, count * count * len(near) // 4)
    found: dict[tuple[Utterance, Utterance], None] = {}
    while len(found) < wanted:
        crowd = near if len(found) < wanted_near else everyone
        other = crowd[rng.integers(len(crowd))]
        one, two = (int(number) for number in rng.integers(count, size=2))
        if ((one + two) % 2 == 0) == (speaker < other):
            found[(speaker, one), (other, two)] = None
    return [(0, enrol, test) for enrol, test in found]


def nearest_voices(speaker: int, voices: dict[int, Voice]) -> list[int]:
    """Finds the third of the same gender that is nearest to a speaker.

    Arguments
    ---------
    speaker : int
        Its number.
    voices : dict of int to Voice
        All speakers.

    Returns
    -------
    list of int
        Their numbers, nearest first; at least one where there is any.
    """
    this = voices[speaker]

    def distance(other: int) -> float:
        # A twentieth of tract length weighs as much as a fifth of pitch.
        pitch = np.log(voices[other].pitch_hz / this.pitch_hz)
        tract = np.log(voices[other].tract / this.tract)
        return float(np.hypot(pitch / 0.2, tract / 0.05))

    same = [
        other
        for other, voice in voices.items()
        if other != speaker and voice.gender == this.gender
    ]
    return sorted(same, key=distance)[: -(-len(same) // 3)]
