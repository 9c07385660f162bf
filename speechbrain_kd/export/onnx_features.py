"""SpeechBrain's log mel features as matrix products, for one ONNX graph.

Mobile and web runtimes often lack the operator STFT, and a Fourier matrix of
400 x 402 numbers outweighs a small student (0.6 MB). So the transform of n =
first x second points is taken in two steps of Cooley and Tukey: columns of
``first`` points, a turn by the twiddle factors, rows of ``second`` points. A
frame of 400 costs 26,400 multiplications with tables of 11 kB.

Reference
---------
Cooley & Tukey, "An algorithm for the machine calculation of complex Fourier
series", Mathematics of Computation 19, 1965.
"""

import math

import torch
from speechbrain.lobes.features import Fbank

from speechbrain_kd.speed.features import FastFeatures, mel_matrix


class PlainFbank(torch.nn.Module):
    """``speechbrain.lobes.features.Fbank``, of plain operators alone.

    The floor of ``top_db`` below the loudest is that of each utterance alone,
    as SpeechBrain has it: no utterance of a batch changes another's.

    Arguments
    ---------
    fbank : Fbank
        SpeechBrain's, frozen, without deltas and context.

    Raises
    ------
    ValueError
        If the features are none that this reproduces.

    Example
    -------
    >>> fbank, wavs = Fbank(n_mels=24), torch.randn(2, 5000)
    >>> torch.allclose(PlainFbank(fbank)(wavs), fbank(wavs), atol=1e-3)
    True
    """

    def __init__(self, fbank: Fbank) -> None:
        super().__init__()
        if not FastFeatures(fbank, torch.nn.Identity()).is_fast:
            raise ValueError(
                "compute_features: expected SpeechBrain's Fbank, frozen and "
                "without deltas or context, to export it as ONNX; came "
                f"{type(fbank).__name__}"
            )
        stft, filters = fbank.compute_STFT, fbank.compute_fbanks
        self.size, self.hop = stft.n_fft, stft.hop_length
        self.block = math.gcd(self.size, self.hop)
        self.first, self.second = _factors(self.size)
        self.amin, self.top_db = filters.amin, filters.top_db
        self.scale = float(filters.multiplier)
        self.shift = filters.multiplier * filters.db_multiplier
        around = self.size - stft.win_length
        window = torch.nn.functional.pad(
            stft.window.double(), (around // 2, around - around // 2)
        )
        tables = _tables(window, self.first, self.second)
        for name, table in tables.items():
            self.register_buffer(name, table.float())
        mel = _mel_of_bins(mel_matrix(fbank), self.first, self.second)
        self.register_buffer("mel", mel)

    def forward(self, wavs: torch.Tensor) -> torch.Tensor:
        """Log mel energies.

        Arguments
        ---------
        wavs : torch.Tensor
            Shape [batch, samples], full scale 1.

        Returns
        -------
        torch.Tensor
            Decibels, [batch, time, mels].
        """
        energies = self._power(self._frames(wavs)) @ self.mel
        decibels = self.scale * torch.log10(energies.clamp(min=self.amin))
        decibels = decibels - self.shift
        loudest = decibels.amax(dim=2, keepdim=True).amax(dim=1, keepdim=True)
        return torch.maximum(decibels, loudest - self.top_db)

    def _frames(self, wavs: torch.Tensor) -> torch.Tensor:
        """Overlapping frames around every hop, [batch, time, size]."""
        half = self.size // 2
        last = (wavs.shape[1] + 2 * half - self.size) // self.hop
        padded = torch.nn.functional.pad(wavs, (half, half))
        # Blocks that both hop and size are multiples of.
        padded = padded[:, : last * self.hop + self.size]
        blocks = padded.reshape(wavs.shape[0], -1, self.block)
        step = self.hop // self.block
        parts = [
            blocks[:, start : last * step + start + 1 : step]
            for start in range(self.size // self.block)
        ]
        return torch.cat(parts, dim=2)

    def _power(self, frames: torch.Tensor) -> torch.Tensor:
        """The power spectrum, its bins in the order of ``_bins``."""
        shape = (*frames.shape[:2], self.first, self.second)
        columns = (frames * self.window).reshape(shape).transpose(2, 3)
        real, imag = (columns @ self.columns).chunk(2, dim=3)
        turned = torch.cat(
            (
                real * self.cos - imag * self.sin,
                real * self.sin + imag * self.cos,
            ),
            dim=2,
        )
        spectrum = turned.transpose(2, 3) @ self.rows
        real, imag = spectrum.chunk(2, dim=3)
        return (real * real + imag * imag).flatten(2)


def _factors(size: int) -> tuple[int, int]:
    """Two factors of a number, as near each other as can be."""
    first = next(n for n in range(math.isqrt(size), 0, -1) if size % n == 0)
    return first, size // first


def _bins(first: int, second: int) -> torch.Tensor:
    """Which frequency lies at each place, [first // 2 + 1, second].

    Of a real signal the frequencies k and n - k have one power, so half the
    columns tell all.
    """
    column = torch.arange(first // 2 + 1).unsqueeze(1)
    bins = column + first * torch.arange(second)
    return torch.minimum(bins, first * second - bins)


def _tables(
    window: torch.Tensor, first: int, second: int
) -> dict[str, torch.Tensor]:
    """Window, both transforms and the turn between them, in fp64."""
    columns = torch.arange(first // 2 + 1, dtype=torch.float64)
    rows = torch.arange(second, dtype=torch.float64)
    points = torch.arange(first, dtype=torch.float64)
    turn = -2 * math.pi / (first * second) * rows.outer(columns)
    inner = -2 * math.pi / first * points.outer(columns)
    outer = -2 * math.pi / second * rows.outer(rows)
    cos, sin = outer.cos(), outer.sin()
    return {
        "window": window,
        "columns": torch.cat((inner.cos(), inner.sin()), dim=1),
        "cos": turn.cos(),
        "sin": turn.sin(),
        "rows": torch.cat(
            (torch.cat((cos, sin), dim=1), torch.cat((-sin, cos), dim=1))
        ),
    }


def _mel_of_bins(mel: torch.Tensor, first: int, second: int) -> torch.Tensor:
    """The mel matrix for powers that lie as ``_bins`` has them."""
    bins = _bins(first, second).flatten()
    times = torch.bincount(bins, minlength=len(mel)).clamp(min=1)
    return (mel / times.unsqueeze(1))[bins]
