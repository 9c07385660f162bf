"""SpeechBrain's log mel features, the same to 1e-4 and faster.

``speechbrain.lobes.features.Fbank`` makes its mel matrix anew for every batch
and sums real and imaginary squares along a strided axis of two. Here the
matrix is made once, and the sum is one of two planes.
"""

import torch
from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.students.encoder import normalised_features


class FastFeatures(torch.nn.Module):
    """``mean_var_norm(compute_features(wavs), lens)``, faster.

    Whatever is not SpeechBrain's plain, frozen ``Fbank`` followed by the mean
    normalisation of each utterance is called as it is.

    Arguments
    ---------
    compute_features : torch.nn.Module
        Waveforms [batch, samples] to features [batch, time, mels].
    mean_var_norm : torch.nn.Module
        SpeechBrain's ``InputNormalization``.

    Example
    -------
    >>> fbank = Fbank(n_mels=80)
    >>> norm = InputNormalization(norm_type="sentence", std_norm=False)
    >>> fast = FastFeatures(fbank, norm)
    >>> wavs = torch.randn(2, 16000)
    >>> theirs = norm(fbank(wavs), torch.ones(2))
    >>> torch.allclose(fast(wavs), theirs, atol=1e-4), fast.is_fast
    (True, True)
    """

    def __init__(
        self,
        compute_features: torch.nn.Module,
        mean_var_norm: torch.nn.Module,
    ) -> None:
        super().__init__()
        # Not registered: both are modules of the Brain already.
        self._slow = (compute_features, mean_var_norm)
        self.is_fast = _plain_fbank(compute_features)
        self.mean_only = _plain_mean(mean_var_norm)
        self.register_buffer("mel", None, persistent=False)
        self.register_buffer("window", None, persistent=False)
        if self.is_fast:
            self.window = compute_features.compute_STFT.window.clone()
            self.mel = mel_matrix(compute_features)

    def forward(
        self, wavs: torch.Tensor, lens: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Normalised features in fp32.

        Arguments
        ---------
        wavs : torch.Tensor
            Shape [batch, samples], 16 kHz.
        lens : torch.Tensor | None
            Relative lengths [batch]; ``None`` where nothing is padded.

        Returns
        -------
        torch.Tensor
            Shape [batch, time, mels].
        """
        compute_features, mean_var_norm = self._slow
        if self.is_fast and wavs.ndim == 2:
            compute_features = self._log_mel
        if lens is None and self.mean_only:
            feats = compute_features(wavs)
            return feats - feats.mean(dim=1, keepdim=True)
        return normalised_features(compute_features, mean_var_norm, wavs, lens)

    def _log_mel(self, wavs: torch.Tensor) -> torch.Tensor:
        """What ``Fbank`` computes, in fp32 as there."""
        with torch.autocast(wavs.device.type, enabled=False):
            return self._decibels(wavs.float())

    def _decibels(self, wavs: torch.Tensor) -> torch.Tensor:
        """Log mel energies, none further below the loudest than the floor."""
        stft, fbanks = self._slow[0].compute_STFT, self._slow[0].compute_fbanks
        spectrum = torch.stft(
            wavs,
            stft.n_fft,
            stft.hop_length,
            stft.win_length,
            self.window,
            stft.center,
            stft.pad_mode,
            stft.normalized_stft,
            stft.onesided,
            return_complex=True,
        ).transpose(1, 2)
        power = spectrum.real.square() + spectrum.imag.square()
        decibels = (power @ self.mel).clamp_(min=fbanks.amin).log10_()
        decibels = decibels.mul_(fbanks.multiplier)
        decibels = decibels.sub_(fbanks.multiplier * fbanks.db_multiplier)
        floor = decibels.amax(dim=(1, 2), keepdim=True) - fbanks.top_db
        return torch.maximum(decibels, floor)


def feature_key(
    compute_features: torch.nn.Module, mean_var_norm: torch.nn.Module
) -> tuple | None:
    """What two models must agree on to share features.

    Arguments
    ---------
    compute_features : torch.nn.Module
        Of the one or of the other.
    mean_var_norm : torch.nn.Module
        The same.

    Returns
    -------
    tuple | None
        Equal keys mean equal features; ``None`` where nothing is known.

    Example
    -------
    >>> norm = InputNormalization(norm_type="sentence", std_norm=False)
    >>> key = feature_key(Fbank(n_mels=80), norm)
    >>> key == feature_key(Fbank(n_mels=80), norm)
    True
    >>> key == feature_key(Fbank(n_mels=24), norm)
    False
    """
    if not (_plain_fbank(compute_features) and _plain_mean(mean_var_norm)):
        return None
    parts = []
    for part in (
        compute_features.compute_STFT,
        compute_features.compute_fbanks,
    ):
        parts += [
            (name, value)
            for name, value in sorted(vars(part).items())
            if isinstance(value, (bool, int, float, str)) and name != "training"
        ]
    return tuple(parts)


def mel_matrix(fbank: Fbank) -> torch.Tensor:
    """The matrix from power spectra to mel bins, as ``Fbank`` makes it.

    Arguments
    ---------
    fbank : Fbank
        SpeechBrain's, with frozen filters.

    Returns
    -------
    torch.Tensor
        Shape [frequencies, mels].
    """
    filters = fbank.compute_fbanks
    shape = filters.all_freqs_mat.shape
    centre, band = (
        row.cpu().unsqueeze(1).expand(shape)
        for row in (filters.f_central, filters.band)
    )
    return filters._create_fbank_matrix(centre, band).contiguous()


def _plain_fbank(module: torch.nn.Module) -> bool:
    """Whether a module is SpeechBrain's own frozen ``Fbank``, no extras."""
    return (
        type(module) is Fbank
        and not (module.deltas or module.context or module.requires_grad)
        and module.compute_fbanks.param_rand_factor == 0
        and module.compute_fbanks.log_mel
    )


def _plain_mean(module: torch.nn.Module) -> bool:
    """Whether a module subtracts the mean of each utterance and no more."""
    return (
        type(module) is InputNormalization
        and module.norm_type == "sentence"
        and not module.std_norm
    )
