"""A student as it runs on a device: waveform in, embedding out."""

import torch


def normalised_features(
    compute_features: torch.nn.Module,
    mean_var_norm: torch.nn.Module,
    wavs: torch.Tensor,
    lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Features as SpeechBrain's recipes compute them.

    Arguments
    ---------
    compute_features : torch.nn.Module
        Waveforms [batch, samples] to features [batch, time, mels].
    mean_var_norm : torch.nn.Module
        SpeechBrain's ``InputNormalization``.
    wavs : torch.Tensor
        Shape [batch, samples], 16 kHz.
    lens : torch.Tensor | None
        Relative lengths [batch]; ``None`` where nothing is padded.

    Returns
    -------
    torch.Tensor
        Shape [batch, time, mels].
    """
    if lens is None:
        lens = torch.ones(len(wavs), device=wavs.device)
    return mean_var_norm(compute_features(wavs), lens)


class SpeakerEncoder(torch.nn.Module):
    """Features, their normalisation and the encoder, in one module.

    Arguments
    ---------
    compute_features : torch.nn.Module
        Waveforms [batch, samples] to features [batch, time, mels].
    mean_var_norm : torch.nn.Module
        SpeechBrain's ``InputNormalization``.
    embedding_model : torch.nn.Module
        ``forward(feats [batch, time, mels], lengths=None)`` to embeddings
        [batch, 1, dim] or [batch, dim].

    Example
    -------
    >>> from speechbrain.lobes.features import Fbank
    >>> from speechbrain.lobes.models.Xvector import Xvector
    >>> from speechbrain.processing.features import InputNormalization
    >>> encoder = SpeakerEncoder(
    ...     Fbank(n_mels=24),
    ...     InputNormalization(norm_type="sentence", std_norm=False),
    ...     Xvector(in_channels=24, tdnn_channels=[8] * 5, lin_neurons=16),
    ... )
    >>> encoder(torch.randn(2, 16000)).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        compute_features: torch.nn.Module,
        mean_var_norm: torch.nn.Module,
        embedding_model: torch.nn.Module,
    ) -> None:
        super().__init__()
        self.compute_features = compute_features
        self.mean_var_norm = mean_var_norm
        self.embedding_model = embedding_model

    def features(
        self, wavs: torch.Tensor, lens: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Normalised features.

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
        return normalised_features(
            self.compute_features, self.mean_var_norm, wavs, lens
        )

    def forward(
        self, wavs: torch.Tensor, lens: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Embeds waveforms.

        Arguments
        ---------
        wavs : torch.Tensor
            Shape [batch, samples], 16 kHz.
        lens : torch.Tensor | None
            Relative lengths [batch]; ``None`` where nothing is padded.

        Returns
        -------
        torch.Tensor
            Shape [batch, dim].
        """
        return self.embedding_model(self.features(wavs, lens), lens).flatten(1)
