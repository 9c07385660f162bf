"""A continuous space of synthetic speakers, written as espeak voice variants.

A speaker is a point: the length of the vocal tract, the place, height and
width of each formant, the pitch and how far it moves, breath, roughness, rate
and accent. Two draws are never the same voice, and close draws sound alike, so
that telling speakers apart is a matter of degree, as it is with people.
"""

from dataclasses import dataclass

import numpy as np

# English as espeak-ng 1.52 ships it, named by its file below ``lang/``.
ACCENTS = (
    "gmw/en-US",
    "gmw/en",
    "gmw/en-GB-scotland",
    "gmw/en-GB-x-gbclan",
    "gmw/en-GB-x-gbcwmd",
    "gmw/en-GB-x-rp",
    "gmw/en-029",
    "gmw/en-US-nyc",
)
NUM_FORMANTS = 6
TONE_HZ = (600, 1200, 2000, 3200)


@dataclass(frozen=True)
class VoiceSpace:
    """The ranges that speakers are drawn from: the corpus's difficulty.

    Narrower ranges make speakers more alike and the corpus harder.

    Arguments
    ---------
    male_pitch_hz, female_pitch_hz : tuple of float
        The lowest pitch of a voice, drawn evenly in log frequency.
    pitch_span : tuple of float
        The highest pitch of a voice relative to its lowest.
    male_tract, female_tract : tuple of float
        A factor on all formant frequencies: short vocal tracts have high ones.
    formant_spread : float
        Standard deviation of each formant's own factor on its frequency.
    shape_spread : float
        Standard deviation (log) of each formant's height and width.
    breath, roughness, flutter : tuple of float
        In espeak's units; breath up to about 8, roughness up to 7.
    tone_spread : float
        Standard deviation (log) of the source's level in each tone band.
    consonants : tuple of float
        Level of consonants relative to vowels.
    rate : tuple of float
        Speaking rate relative to espeak's.
    session_pitch, session_rate : float
        Standard deviation (log) of a speaker's pitch and rate from one
        recording to the next: nobody sounds the same twice.
    accents : tuple of str
        The espeak voices that speakers are built on.
    """

    male_pitch_hz: tuple[float, float] = (75.0, 130.0)
    female_pitch_hz: tuple[float, float] = (130.0, 210.0)
    pitch_span: tuple[float, float] = (1.15, 1.75)
    male_tract: tuple[float, float] = (0.93, 1.06)
    female_tract: tuple[float, float] = (1.04, 1.19)
    formant_spread: float = 0.04
    shape_spread: float = 0.18
    breath: tuple[float, float] = (0.0, 6.0)
    roughness: tuple[float, float] = (0.0, 5.0)
    flutter: tuple[float, float] = (0.0, 5.0)
    tone_spread: float = 0.15
    consonants: tuple[float, float] = (75.0, 130.0)
    rate: tuple[float, float] = (0.85, 1.2)
    session_pitch: float = 0.06
    session_rate: float = 0.06
    accents: tuple[str, ...] = ACCENTS


@dataclass(frozen=True)
class Voice:
    """One speaker: a point of a `VoiceSpace`.

    Arguments
    ---------
    gender : str
        "f" or "m": which of the two ranges of pitch and tract it came from.
    accent : str
        The espeak voice underneath.
    pitch_hz : float
        Lowest pitch.
    pitch_span : float
        Highest pitch relative to the lowest.
    tract : float
        Factor on all formant frequencies.
    formants : tuple of tuple of float
        Factors on frequency, height and width, one triple a formant.
    tone : tuple of float
        Level of the source at each of `TONE_HZ`.
    breath, roughness, flutter, consonants, rate : float
        As in `VoiceSpace`.
    """

    gender: str
    accent: str
    pitch_hz: float
    pitch_span: float
    tract: float
    formants: tuple[tuple[float, float, float], ...]
    tone: tuple[float, ...]
    breath: float
    roughness: float
    flutter: float
    consonants: float
    rate: float


def draw_voice(space: VoiceSpace, rng: np.random.Generator) -> Voice:
    """Draws one speaker.

    Arguments
    ---------
    space : VoiceSpace
        Where from.
    rng : numpy.random.Generator
        Randomness.

    Returns
    -------
    Voice

    Example
    -------
    >>> one = draw_voice(VoiceSpace(), np.random.default_rng(1))
    >>> one == draw_voice(VoiceSpace(), np.random.default_rng(1))
    True
    >>> one == draw_voice(VoiceSpace(), np.random.default_rng(2))
    False
    """
    female = bool(rng.random() < 0.5)
    pitch = space.female_pitch_hz if female else space.male_pitch_hz
    formants = np.stack(
        [
            1.0 + space.formant_spread * _bounded(rng, NUM_FORMANTS),
            np.exp(space.shape_spread * _bounded(rng, NUM_FORMANTS)),
            np.exp(space.shape_spread * _bounded(rng, NUM_FORMANTS)),
        ],
        axis=1,
    )
    return Voice(
        gender="f" if female else "m",
        accent=space.accents[rng.integers(len(space.accents))],
        pitch_hz=float(np.exp(rng.uniform(*np.log(pitch)))),
        pitch_span=rng.uniform(*space.pitch_span),
        tract=rng.uniform(
            *(space.female_tract if female else space.male_tract)
        ),
        formants=tuple(tuple(row) for row in formants.tolist()),
        tone=tuple(
            np.exp(space.tone_spread * _bounded(rng, len(TONE_HZ))).tolist()
        ),
        breath=rng.uniform(*space.breath),
        roughness=rng.uniform(*space.roughness),
        flutter=rng.uniform(*space.flutter),
        consonants=rng.uniform(*space.consonants),
        rate=rng.uniform(*space.rate),
    )


def session(
    voice: Voice, space: VoiceSpace, rng: np.random.Generator
) -> tuple[float, float]:
    """Draws how a speaker's pitch and rate differ in one recording.

    Arguments
    ---------
    voice : Voice
        The speaker.
    space : VoiceSpace
        How much a speaker varies.
    rng : numpy.random.Generator
        Randomness.

    Returns
    -------
    tuple of float
        Lowest pitch in Hz and rate, in this recording.
    """
    pitch, rate = _bounded(rng, 2)
    return (
        voice.pitch_hz * float(np.exp(space.session_pitch * pitch)),
        voice.rate * float(np.exp(space.session_rate * rate)),
    )


def variant_text(voice: Voice, pitch_hz: float, rate: float) -> str:
    """Writes a speaker as the text of an espeak voice variant.

    Arguments
    ---------
    voice : Voice
        The speaker.
    pitch_hz : float
        Lowest pitch in this recording.
    rate : float
        Speaking rate in this recording.

    Returns
    -------
    str

    Example
    -------
    >>> voice = draw_voice(VoiceSpace(), np.random.default_rng(1))
    >>> "pitch 100 " in variant_text(voice, pitch_hz=100.0, rate=1.0)
    True
    """
    lines = [
        "language variant",
        "name minivox",
        f"gender {'female' if voice.gender == 'f' else 'male'}",
        f"pitch {pitch_hz:.0f} {pitch_hz * voice.pitch_span:.0f}",
        f"roughness {voice.roughness:.0f}",
        f"flutter {voice.flutter:.0f}",
        f"consonants {voice.consonants:.0f} {voice.consonants:.0f}",
        f"speed {100 * rate:.0f}",
        "breath 0 " + " ".join([f"{voice.breath:.0f}"] * 7),
        "tone "
        + " ".join(
            f"{hz} {min(255, 150 * level):.0f}"
            for hz, level in zip(TONE_HZ, voice.tone, strict=True)
        ),
    ]
    for number, (frequency, height, width) in enumerate(voice.formants):
        scale = 100 * voice.tract * frequency
        lines.append(
            f"formant {number} {scale:.0f} {100 * height:.0f} {100 * width:.0f}"
        )
    return "\n".join(lines) + "\n"


def _bounded(rng: np.random.Generator, size: int) -> np.ndarray:
    """Normal draws cut at 2.5: espeak breaks far outside its usual range."""
    return np.clip(rng.standard_normal(size), -2.5, 2.5)
