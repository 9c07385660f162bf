"""From waveforms to what a foreign speaker model takes.

An ONNX file or a checkpoint does not say what its features are, and one that
is fed the wrong ones still answers: with embeddings that are worse. So a yaml
declares them, in the same words for every kind of foreign model.
"""

import torch
from speechbrain.lobes.features import Fbank

from speechbrain_kd.teachers.kaldi import KaldiFbank

KINDS = ("kaldi", "speechbrain", "waveform")
_SHIFT = 160  # samples: 10 ms, for both kinds of features
_FRAME = 400  # 25 ms


class FrontEnd(torch.nn.Module):
    """Scales waveforms, computes features and centres them.

    Arguments
    ---------
    kind : str
        ``"kaldi"`` (as ``torchaudio.compliance.kaldi.fbank``),
        ``"speechbrain"`` (``speechbrain.lobes.features.Fbank``), or
        ``"waveform"`` for a model that holds its own features.
    n_mels : int
        Mel bins.
    waveform_scale : float
        What waveforms are multiplied by: 1 for [-1, 1] (3D-Speaker), 32768
        for a model trained on 16-bit integers (WeSpeaker).
    mean_norm : bool
        Whether to subtract from features their mean over the utterance.
    dither : float
        Kaldi's dither; 0 keeps embeddings deterministic.
    window : str
        Kaldi's window: ``"povey"`` (3D-Speaker) or ``"hamming"`` (WeSpeaker).

    Raises
    ------
    ValueError
        If there is no such kind or window, or a number is out of range.

    Example
    -------
    >>> frontend = FrontEnd("kaldi", n_mels=24)
    >>> feats = frontend(torch.rand(2, 16000))
    >>> feats.shape
    torch.Size([2, 98, 24])
    >>> frontend.frames(16000), frontend.samples(98)
    (98, 15920)
    >>> bool(feats.mean(dim=1).abs().max() < 1e-4)
    True
    """

    def __init__(
        self,
        kind: str = "kaldi",
        n_mels: int = 80,
        waveform_scale: float = 1.0,
        mean_norm: bool = True,
        dither: float = 0.0,
        window: str = "povey",
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(
                f"The frontend of a teacher is one of {', '.join(KINDS)}; got "
                f"{kind!r}"
            )
        if not float(waveform_scale) > 0:
            raise ValueError(
                "The teacher's waveform_scale should be above 0 (1 or 32768), "
                f"got {waveform_scale}"
            )
        self.kind = kind
        self.n_mels = None if kind == "waveform" else int(n_mels)
        self.waveform_scale = float(waveform_scale)
        self.mean_norm = mean_norm and kind != "waveform"
        self.compute_features = _features(kind, n_mels, dither, window)

    def forward(self, wavs: torch.Tensor) -> torch.Tensor:
        """Computes what the model takes.

        Arguments
        ---------
        wavs : torch.Tensor
            ``[batch, samples]`` at 16 kHz, without padding.

        Returns
        -------
        torch.Tensor
            ``[batch, frames, n_mels]``, or ``[batch, samples]``.
        """
        feats = self.compute_features(wavs * self.waveform_scale)
        if self.mean_norm:
            feats = feats - feats.mean(dim=1, keepdim=True)
        return feats

    def frames(self, samples: int) -> int:
        """Gives the length that the model is fed for a waveform.

        Arguments
        ---------
        samples : int
            Of the waveform.

        Returns
        -------
        int
            Frames; samples for a model of waveforms.
        """
        if self.kind == "waveform":
            return samples
        if self.kind == "speechbrain":  # a frame is centred on each shift
            return samples // _SHIFT + 1
        return max(0, 1 + (samples - _FRAME) // _SHIFT)

    def samples(self, frames: int) -> int:
        """Gives the shortest waveform that has so many frames.

        Arguments
        ---------
        frames : int
            As of :meth:`frames`.

        Returns
        -------
        int
            Samples.
        """
        if self.kind == "waveform":
            return frames
        if self.kind == "speechbrain":
            return (frames - 1) * _SHIFT
        return (frames - 1) * _SHIFT + _FRAME


def _features(
    kind: str, n_mels: int, dither: float, window: str
) -> torch.nn.Module:
    """Builds the features that are named."""
    if kind == "kaldi":
        return KaldiFbank(n_mels, dither, window)
    if kind == "speechbrain":
        return Fbank(n_mels=n_mels)
    return torch.nn.Identity()
