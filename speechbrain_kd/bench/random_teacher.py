"""A teacher of a published size that knows nothing: for its cost alone."""

import torch
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.speed.features import FastFeatures
from speechbrain_kd.speed.modules import skip_empty_padding
from speechbrain_kd.teachers.base import Teacher


class RandomEcapa(Teacher):
    """An ECAPA-TDNN with the weights that it is born with.

    Arguments
    ---------
    channels : int
        512 or 1024, as published.
    embedding_dim : int
        Size of an embedding.

    Example
    -------
    >>> teacher = RandomEcapa(channels=16, embedding_dim=8)
    >>> teacher(torch.randn(2, 16000)).embeddings.shape
    torch.Size([2, 8])
    >>> teacher.fingerprint() == RandomEcapa(16, 8).fingerprint()
    True
    """

    def __init__(self, channels: int = 512, embedding_dim: int = 192) -> None:
        super().__init__(f"random ECAPA c{channels}", embedding_dim)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            self.embedding_model = ECAPA_TDNN(
                input_size=80,
                channels=[channels] * 4 + [3 * channels],
                kernel_sizes=[5, 3, 3, 3, 1],
                dilations=[1, 2, 3, 4, 1],
                attention_channels=128,
                lin_neurons=embedding_dim,
            )
        skip_empty_padding(self.embedding_model)
        norm = InputNormalization(norm_type="sentence", std_norm=False)
        self.features = FastFeatures(Fbank(n_mels=80), norm)
        self.freeze()

    def encode(self, wavs: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
        """Embeds a batch."""
        feats = self.features(wavs, lens)
        return self.embedding_model(feats, lens).squeeze(1)
