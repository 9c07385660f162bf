"""Kaldi's log mel filterbank for a whole batch of equally long waveforms.

``torchaudio.compliance.kaldi.fbank`` takes one waveform at a time and builds
its filters anew for each; on short crops that costs more than the transform.
"""

import math

import torch

_FRAME = 400  # 25 ms at 16 kHz
_SHIFT = 160  # 10 ms
_FFT = 512
_SAMPLE_RATE = 16000
_LOW_HZ = 20.0
_PREEMPHASIS = 0.97


class KaldiFbank(torch.nn.Module):
    """Log mel energies as Kaldi computes them at 16 kHz: frames of 25 ms
    every 10 ms, whole frames only, DC removed, preemphasis 0.97, a window,
    power spectrum, mel filters from 20 Hz to 8 kHz.

    Arguments
    ---------
    n_mels : int
        Number of mel bins.
    dither : float
        Standard deviation of the noise added to each sample of a frame, in
        the units of the waveform. 0 keeps the features deterministic.
    window : str
        ``"povey"``, Kaldi's own (3D-Speaker), or ``"hamming"`` (WeSpeaker).

    Raises
    ------
    ValueError
        If there is no such window.

    Example
    -------
    >>> from torchaudio.compliance.kaldi import fbank
    >>> wavs = torch.rand(2, 8000)
    >>> feats = KaldiFbank(n_mels=80)(wavs)
    >>> kaldi = fbank(wavs[1:], num_mel_bins=80, dither=0.0)
    >>> torch.allclose(feats[1], kaldi, atol=1e-4)
    True
    """

    def __init__(
        self, n_mels: int = 80, dither: float = 0.0, window: str = "povey"
    ) -> None:
        super().__init__()
        self.n_mels = n_mels
        self.dither = dither
        self.window_name = window
        self.register_buffer("window", _window(window), persistent=False)
        filters = mel_filters(n_mels)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, wavs: torch.Tensor) -> torch.Tensor:
        """Computes features.

        Arguments
        ---------
        wavs : torch.Tensor
            ``[batch, samples]`` at 16 kHz, without padding.

        Returns
        -------
        torch.Tensor
            ``[batch, frames, n_mels]``

        Raises
        ------
        ValueError
            If the waveforms are shorter than one frame.
        """
        if wavs.shape[-1] < _FRAME:
            raise ValueError(
                f"Kaldi's fbank needs at least {_FRAME} samples (25 ms), got "
                f"{wavs.shape[-1]}"
            )
        frames = wavs.unfold(-1, _FRAME, _SHIFT)
        if self.dither:
            frames = frames + self.dither * torch.randn_like(frames)
        frames = frames - frames.mean(dim=-1, keepdim=True)
        # Before the first sample of a frame stands, for Kaldi, itself.
        earlier = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        frames = (frames - _PREEMPHASIS * earlier) * self.window
        power = torch.fft.rfft(frames, n=_FFT).abs().square()
        energies = power[..., : _FFT // 2] @ self.filters
        return energies.clamp(min=torch.finfo(torch.float32).eps).log()


def _window(name: str) -> torch.Tensor:
    """Gives the weights of the samples of a frame."""
    if name == "povey":
        return torch.hann_window(_FRAME, periodic=False).pow(0.85)
    if name == "hamming":
        return torch.hamming_window(_FRAME, periodic=False)
    raise ValueError(
        f"The window of Kaldi's fbank is povey or hamming, got {name!r}"
    )


def mel_filters(n_mels: int) -> torch.Tensor:
    """Builds Kaldi's triangular filters, linear in mel and of height one.

    Arguments
    ---------
    n_mels : int
        Number of filters.

    Returns
    -------
    torch.Tensor
        ``[256, n_mels]``, over the bins below the Nyquist frequency.

    Example
    -------
    >>> filters = mel_filters(80)
    >>> bool((filters >= 0).all() and (filters <= 1).all())
    True
    """
    low, high = _mel(_LOW_HZ), _mel(_SAMPLE_RATE / 2)
    # In single precision, as Kaldi: the lowest filters hold a bin or two,
    # and rounding shows there.
    edges = low + torch.arange(n_mels + 2.0) * ((high - low) / (n_mels + 1))
    bins = torch.arange(_FFT // 2) * (_SAMPLE_RATE / _FFT)
    mels = (1127.0 * (1.0 + bins / 700.0).log()).unsqueeze(1)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (mels - left) / (centre - left)
    falling = (right - mels) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0.0)


def _mel(hertz: float) -> float:
    """Converts a frequency to Kaldi's mel scale."""
    return 1127.0 * math.log(1.0 + hertz / 700.0)
