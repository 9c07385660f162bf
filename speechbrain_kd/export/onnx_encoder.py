"""From waveform to unit-norm embedding, of operators that ONNX has."""

import copy

import torch
from speechbrain.lobes.models.ECAPA_TDNN import AttentiveStatisticsPooling
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.export.onnx_features import PlainFbank
from speechbrain_kd.speed.modules import skip_empty_padding
from speechbrain_kd.teachers.pooling import silence_pooling


class WaveformEncoder(torch.nn.Module):
    """Features, their normalisation, the encoder and the L2 norm in one.

    Whole utterances of one length: nothing is padded, so no lengths.

    Arguments
    ---------
    compute_features : torch.nn.Module
        SpeechBrain's ``Fbank``.
    mean_var_norm : torch.nn.Module
        SpeechBrain's ``InputNormalization``, of each sentence or global.
    embedding_model : torch.nn.Module
        ``forward(feats [batch, time, mels])`` to embeddings. All three are
        copied.

    Raises
    ------
    ValueError
        If features or normalisation are none that this reproduces.

    Example
    -------
    >>> from speechbrain.lobes.features import Fbank
    >>> from speechbrain.lobes.models.Xvector import Xvector
    >>> encoder = WaveformEncoder(
    ...     Fbank(n_mels=24),
    ...     InputNormalization(norm_type="sentence", std_norm=False),
    ...     Xvector(in_channels=24, tdnn_channels=[8] * 5, lin_neurons=16),
    ... )
    >>> embeddings = encoder(torch.randn(2, 8000))
    >>> torch.allclose(embeddings.norm(dim=1), torch.ones(2))
    True
    """

    def __init__(
        self,
        compute_features: torch.nn.Module,
        mean_var_norm: torch.nn.Module,
        embedding_model: torch.nn.Module,
    ) -> None:
        super().__init__()
        self.features = PlainFbank(compute_features)
        self.norm = _Normalisation(mean_var_norm)
        self.encoder = copy.deepcopy(embedding_model).cpu()
        skip_empty_padding(self.encoder)
        _pool_whole(self.encoder)
        silence_pooling(self.encoder)
        self.eval().requires_grad_(False)

    def forward(self, wavs: torch.Tensor) -> torch.Tensor:
        """Embeds waveforms.

        Arguments
        ---------
        wavs : torch.Tensor
            Shape [batch, samples].

        Returns
        -------
        torch.Tensor
            Of norm 1, [batch, dim].
        """
        embeddings = self.encoder(self.norm(self.features(wavs))).flatten(1)
        return torch.nn.functional.normalize(embeddings, dim=1)


class _Normalisation(torch.nn.Module):
    """``InputNormalization`` in evaluation, where nothing is padded."""

    def __init__(self, norm: torch.nn.Module) -> None:
        super().__init__()
        kind = getattr(norm, "norm_type", None)
        if type(norm) is not InputNormalization or kind == "batch":
            raise ValueError(
                "mean_var_norm: expected SpeechBrain's InputNormalization of "
                "norm_type sentence or global, to export it as ONNX; came "
                f"{type(norm).__name__} of {kind}"
            )
        self.each = kind == "sentence"
        self.spread = bool(norm.std_norm)
        self.floor = norm.epsilon
        if not self.each:
            self.register_buffer("mean", norm.glob_mean.cpu().clone())
            self.register_buffer("std", norm.glob_std.cpu().clone())

    def forward(self, feats: torch.Tensor) -> torch.Tensor:
        """Normalises features [batch, time, mels]."""
        mean = feats.mean(dim=1, keepdim=True) if self.each else self.mean
        feats = feats - mean
        if not self.spread:
            return feats
        if self.each:
            std = feats.square().mean(dim=1, keepdim=True).sqrt()
        else:
            std = self.std
        return feats / std.clamp(min=self.floor)


class _WholePooling(torch.nn.Module):
    """ECAPA-TDNN's pooling of whole utterances, without its masks.

    Their making fixes the batch in a traced graph.
    """

    def __init__(self, pooling: AttentiveStatisticsPooling) -> None:
        super().__init__()
        self.tdnn, self.tanh = pooling.tdnn, pooling.tanh
        self.conv, self.eps = pooling.conv, pooling.eps
        self.global_context = pooling.global_context

    def forward(
        self, feats: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Mean and deviation of feats [batch, channels, time]."""
        attention = feats
        if self.global_context:
            mean = feats.mean(dim=2, keepdim=True)
            square = (feats - mean).square().mean(dim=2, keepdim=True)
            std = square.clamp(min=self.eps).sqrt()
            parts = (feats, mean.expand_as(feats), std.expand_as(feats))
            attention = torch.cat(parts, dim=1)
        attention = self.conv(self.tanh(self.tdnn(attention))).softmax(dim=2)
        mean = (attention * feats).sum(dim=2, keepdim=True)
        square = (attention * (feats - mean).square()).sum(dim=2, keepdim=True)
        return torch.cat((mean, square.clamp(min=self.eps).sqrt()), dim=1)


def _pool_whole(encoder: torch.nn.Module) -> None:
    """Puts the plain pooling where ECAPA-TDNN's stands."""
    for module in list(encoder.modules()):
        for name, child in list(module.named_children()):
            if type(child) is AttentiveStatisticsPooling:
                setattr(module, name, _WholePooling(child))
