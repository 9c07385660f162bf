"""Another recording channel for each utterance: room, microphone, noise.

As SpeechBrain's augmentations it is called with waveforms and lengths, and
draws from torch's generator alone: who seeds it, gets the same channels. It
needs no files of noises or impulse responses.
"""

import math
from collections.abc import Sequence

import torch
from scipy import fft

from speechbrain_kd.data.decoders import SAMPLE_RATE
from speechbrain_kd.data.minivox_channel import NOISES
from speechbrain_kd.data.spectra import irfft, rfft, shapes

#: Reflections come after the direct sound: the walls are metres away.
_FIRST_REFLECTION_S = 0.003

#: The natural logarithm of an amplitude, of a dB.
_PER_DB = math.log(10) / 20

#: The lowest and highest that a range may reach.
_BOUNDS = {
    "rt60_s": (0.02, 5.0),
    "direct_db": (-40.0, 60.0),
    "tilt_db": (-12.0, 12.0),
    "band_hz": (300.0, SAMPLE_RATE / 2),
    "snr_db": (-20.0, 80.0),
}


class RandomChannel(torch.nn.Module):
    """Records each utterance anew, in a room, by a microphone, in noise.

    Each of the three comes with a probability of its own, drawn for each
    utterance. Probabilities and ranges (lowest and highest, drawn uniformly)
    are independent of each other.

    Arguments
    ---------
    room : float
        Probability of a room: the direct sound and a tail of noise that dies
        away exponentially.
    rt60_s : Sequence[float]
        Seconds in which the tail falls by 60 dB.
    direct_db : Sequence[float]
        Direct sound over the tail, in dB.
    microphone : float
        Probability of a microphone that is not flat.
    tilt_db : Sequence[float]
        Slope of its response, in dB an octave.
    band : float
        Share of the microphones that end below 8 kHz.
    band_hz : Sequence[float]
        Where they end.
    noise : float
        Probability of noise.
    snr_db : Sequence[float]
        What the microphone gives over the noise, in dB.
    noises : Sequence[str]
        Its kinds: ``white``, ``pink``, ``hum`` (low) and ``babble`` (as
        speech on the average). Without end and without words.

    Raises
    ------
    ValueError
        If a probability, a range or a kind of noise is none.

    Example
    -------
    >>> channel = RandomChannel(room=0, microphone=0, noise=1, snr_db=[20, 20])
    >>> speech = torch.randn(4, 16000)
    >>> heard, lens = channel(speech, torch.ones(4))
    >>> noise = (heard - speech).square().mean() / speech.square().mean()
    >>> round(float(noise), 3)
    0.01
    """

    def __init__(
        self,
        room: float = 0.5,
        rt60_s: Sequence[float] = (0.1, 0.6),
        direct_db: Sequence[float] = (0.0, 15.0),
        microphone: float = 0.5,
        tilt_db: Sequence[float] = (-3.0, 3.0),
        band: float = 0.3,
        band_hz: Sequence[float] = (3400.0, 7800.0),
        noise: float = 0.6,
        snr_db: Sequence[float] = (5.0, 25.0),
        noises: Sequence[str] = NOISES,
    ) -> None:
        super().__init__()
        self.room = _probability("room", room)
        self.rt60_s = _range("rt60_s", rt60_s)
        self.direct_db = _range("direct_db", direct_db)
        self.microphone = _probability("microphone", microphone)
        self.tilt_db = _range("tilt_db", tilt_db)
        self.band = _probability("band", band)
        self.band_hz = _range("band_hz", band_hz)
        self.noise = _probability("noise", noise)
        self.snr_db = _range("snr_db", snr_db)
        self.noises = tuple(noises)
        if not self.noises or set(self.noises) - set(NOISES):
            raise ValueError(
                f"noises: expected some of {', '.join(NOISES)}; got "
                f"{list(noises)}"
            )

    @torch.no_grad()
    def forward(
        self, wavs: torch.Tensor, lens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gives each waveform a channel of its own.

        Arguments
        ---------
        wavs : torch.Tensor
            Shape [batch, samples], 16 kHz.
        lens : torch.Tensor
            Relative lengths [batch]; what is padded becomes zero.

        Returns
        -------
        tuple[torch.Tensor, torch.Tensor]
            Waveforms of the same shape, and ``lens``.
        """
        count, samples = wavs.shape
        # Drawn on the CPU: which rows have what is known without waiting.
        in_room, by_microphone, in_noise = (
            torch.rand(count) < share
            for share in (self.room, self.microphone, self.noise)
        )
        out = self._filtered(wavs, in_room, by_microphone)
        ends = (lens * samples).round().unsqueeze(1)
        inside = torch.arange(samples, device=wavs.device) < ends
        out = out * inside
        if in_noise.any():
            power = out.square().sum(1, keepdim=True) / ends.clamp(min=1)
            noise = self._noises(in_noise, samples, wavs.device)
            out = out + noise * power.sqrt() * inside
        return out, lens

    def replicate_labels(self, labels: torch.Tensor) -> torch.Tensor:
        """The labels of what ``forward`` gives: one row stays one row."""
        return labels

    def _filtered(self, wavs, in_room, by_microphone):
        """Waveforms [batch, samples] through rooms and microphones."""
        if not (in_room.any() or by_microphone.any()):
            return wavs
        # Room for the tail, or it would wrap round to the beginning.
        tail = int(self.rt60_s[1] * SAMPLE_RATE) if in_room.any() else 0
        size = fft.next_fast_len(wavs.shape[1] + tail, real=True)
        spectrum = rfft(wavs.float(), size)
        if in_room.any():
            responses = self._rooms(in_room, tail, wavs.device)
            spectrum = spectrum * rfft(responses, size)
        if by_microphone.any():
            spectrum = spectrum * self._microphones(
                by_microphone, spectrum.shape[1], wavs.device
            )
        return irfft(spectrum, size)[:, : wavs.shape[1]]

    def _rooms(self, chosen, tail, device):
        """Impulse responses [batch, tail]: where none is, a click alone."""
        rt60 = _uniform(self.rt60_s, len(chosen), device) * SAMPLE_RATE
        level = torch.exp(
            -_PER_DB * _uniform(self.direct_db, len(chosen), device)
        )
        times = torch.arange(tail, device=device)
        first = int(_FIRST_REFLECTION_S * SAMPLE_RATE)
        decay = torch.exp(-60 * _PER_DB / rt60 * times)
        decay *= (times >= first) & (times < rt60)
        responses = torch.randn(len(chosen), tail, device=device) * decay
        norm = responses.norm(dim=1, keepdim=True).clamp(min=1e-9)
        responses *= chosen.to(device).unsqueeze(1) * level / norm
        responses[:, 0] = 1.0
        return responses

    def _microphones(self, chosen, bins, device):
        """Responses [batch, bins]: flat where none was chosen."""
        count = len(chosen)
        tilt = _uniform(self.tilt_db, count, device)
        edge = _uniform(self.band_hz, count, device)
        ends = torch.rand(count, 1).to(device) < self.band
        hz, above, _ = shapes(bins, device)
        response = torch.exp((tilt * _PER_DB) * above)
        steep = (hz / edge).square().square().square().square()
        fall = torch.rsqrt(1 + steep)
        response = torch.where(ends, response * fall, response)
        return torch.where(chosen.to(device).unsqueeze(1), response, 1.0)

    def _noises(self, chosen, samples, device):
        """Noise [batch, samples] at its level below 1: none if not chosen."""
        count, size = len(chosen), fft.next_fast_len(samples, real=True)
        level = torch.exp(-_PER_DB * _uniform(self.snr_db, count, device))
        kinds = torch.randint(len(self.noises), (count,))
        kinds = torch.tensor([NOISES.index(x) for x in self.noises])[kinds]
        gains = shapes(size // 2 + 1, device)[2][kinds.to(device)]
        white = torch.randn(2, count, size // 2 + 1, device=device)
        spectrum = torch.complex(white[0] * gains, white[1] * gains)
        noise = irfft(spectrum, size)[:, :samples]
        level = level * chosen.to(device).unsqueeze(1)
        power = noise.square().mean(1, keepdim=True)
        return noise * (level * torch.rsqrt(power.clamp(min=1e-20)))


def _uniform(
    bounds: tuple[float, float], count: int, device: torch.device
) -> torch.Tensor:
    """Drawn from a range, shape [count, 1]."""
    low, high = bounds
    return (low + (high - low) * torch.rand(count, 1)).to(device)


def _probability(name: str, value: float) -> float:
    """A probability, as a float; ValueError where it is none."""
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(
            f"{name}: expected a number from 0 to 1, got {value!r}"
        )
    return float(value)


def _range(name: str, value: Sequence[float]) -> tuple[float, float]:
    """A range, as two floats; ValueError where it is none."""
    low, high = _BOUNDS[name]
    try:
        first, last = map(float, value)
        right = low <= first <= last <= high
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ValueError(
            f"{name}: expected [lowest, highest] within {low} and {high}, got "
            f"{value!r}"
        )
    return first, last
