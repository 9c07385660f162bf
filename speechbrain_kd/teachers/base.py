"""The contract of a teacher: frozen for good, fed waveforms at 16 kHz."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from speechbrain_kd.teachers.fingerprint import fingerprint


@dataclass(frozen=True)
class TeacherOutput:
    """What a teacher says of a batch, in fp32 and detached.

    Arguments
    ---------
    embeddings : torch.Tensor
        ``[batch, dim]``, not normalised.
    logits : torch.Tensor | None
        ``[batch, classes]``: unscaled cosines, or the log-probabilities of a
        teacher whose ``cosine_logits`` is False. None without a classifier.
    """

    embeddings: torch.Tensor
    logits: torch.Tensor | None = None


class Teacher(torch.nn.Module):
    """A frozen speaker model. Subclasses implement ``encode``, and
    ``classify`` where they have classes, and end their constructor with
    ``freeze()``.

    ``train()`` changes nothing: a Brain calls it on all its modules, and in
    train mode the BatchNorm statistics of a teacher would drift.

    Arguments
    ---------
    source : str
        Where the model came from, for messages and model cards.
    embedding_dim : int
        Size of an embedding.
    labels : Sequence[str] | None
        Class names in the order of the logits; None without known classes.
    trained_on : Sequence[str]
        Names of the corpora the teacher was trained on, so that an
        evaluation can say which test data it has seen.
    digests : dict[str, str] | None
        SHA-256 of each loaded file, by file name.
    cosine_logits : bool
        Whether the logits are cosines, to be scaled before a softmax.

    Example
    -------
    >>> class Mean(Teacher):
    ...     def __init__(self):
    ...         super().__init__("mean", embedding_dim=1)
    ...         self.norm = torch.nn.BatchNorm1d(1)
    ...         self.freeze()
    ...
    ...     def encode(self, wavs, lens):
    ...         return self.norm(wavs.mean(dim=1, keepdim=True))
    >>> teacher = Mean().train()
    >>> before = teacher.norm.running_mean.clone()
    >>> output = teacher(torch.rand(4, 100), torch.ones(4))
    >>> torch.equal(teacher.norm.running_mean, before)
    True
    >>> teacher.training, output.embeddings.requires_grad
    (False, False)
    """

    def __init__(
        self,
        source: str,
        embedding_dim: int = 0,
        labels: Sequence[str] | None = None,
        trained_on: Sequence[str] = (),
        digests: dict[str, str] | None = None,
        cosine_logits: bool = False,
    ) -> None:
        super().__init__()
        self.source = str(source)
        self.embedding_dim = embedding_dim
        self.labels = None if labels is None else list(labels)
        self.trained_on = list(trained_on)
        self.digests = dict(digests or {})
        self.cosine_logits = cosine_logits

    def freeze(self) -> "Teacher":
        """Puts every module in eval mode and every parameter out of reach."""
        super().train(False)
        return super().requires_grad_(False)

    def train(self, mode: bool = True) -> "Teacher":
        """Does nothing: a teacher stays in eval mode."""
        return self

    def requires_grad_(self, requires_grad: bool = True) -> "Teacher":
        """Does nothing: a teacher takes no gradient."""
        return self

    def fingerprint(self) -> str:
        """Identifies what the teacher says, so that it may be stored.

        Returns
        -------
        str
            A SHA-256; see :mod:`speechbrain_kd.teachers.fingerprint`.
        """
        return fingerprint(self, self.digests)

    def encode(self, wavs: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
        """Embeds a batch; for subclasses to implement.

        Arguments
        ---------
        wavs : torch.Tensor
            ``[batch, samples]`` at 16 kHz, fp32.
        lens : torch.Tensor
            Relative lengths ``[batch]``.

        Returns
        -------
        torch.Tensor
            ``[batch, dim]``
        """
        raise NotImplementedError(f"{type(self).__name__} has no encode()")

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor | None:
        """Scores embeddings against the classes; None without a classifier.

        Arguments
        ---------
        embeddings : torch.Tensor
            ``[batch, dim]``

        Returns
        -------
        torch.Tensor | None
            ``[batch, classes]``
        """
        return None

    def feature_key(self) -> tuple | None:
        """What a student must agree on for its features to serve here too.

        Returns
        -------
        tuple | None
            As :func:`speechbrain_kd.speed.features.feature_key`; None where
            the teacher's features are its own.
        """
        return None

    def encode_features(
        self, feats: torch.Tensor, lens: torch.Tensor
    ) -> torch.Tensor:
        """Embeds features; for subclasses that have a ``feature_key``.

        Arguments
        ---------
        feats : torch.Tensor
            ``[batch, time, mels]``, normalised, fp32.
        lens : torch.Tensor
            Relative lengths ``[batch]``.

        Returns
        -------
        torch.Tensor
            ``[batch, dim]``
        """
        raise NotImplementedError(f"{type(self).__name__} takes no features")

    @torch.no_grad()
    def forward(
        self,
        wavs: torch.Tensor,
        lens: torch.Tensor | None = None,
        feats: torch.Tensor | None = None,
    ) -> TeacherOutput:
        """Embeds and classifies a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            ``[batch, samples]`` at 16 kHz.
        lens : torch.Tensor | None
            Relative lengths ``[batch]``; None where nothing is padded.
        feats : torch.Tensor | None
            Features of these waveforms, of one that has the same
            ``feature_key``.

        Returns
        -------
        TeacherOutput
            In fp32 and detached, also under autocast.
        """
        lens = _checked_lens(wavs, lens)
        with torch.autocast(wavs.device.type, enabled=False):
            if feats is None:
                embeddings = self.encode(wavs.float(), lens).float()
            else:
                embeddings = self.encode_features(feats.float(), lens).float()
            logits = self.classify(embeddings)
        if logits is not None:
            logits = logits.float().detach()
        return TeacherOutput(embeddings.detach(), logits)

    def embed(self, wavs: torch.Tensor) -> torch.Tensor:
        """Embeds unpadded waveforms ``[batch, samples]``, for evaluation.

        Arguments
        ---------
        wavs : torch.Tensor
            ``[batch, samples]`` at 16 kHz.

        Returns
        -------
        torch.Tensor
            ``[batch, dim]``
        """
        return self(wavs).embeddings


def _checked_lens(
    wavs: torch.Tensor, lens: torch.Tensor | None
) -> torch.Tensor:
    """Gives relative lengths on the device of the waveforms."""
    if wavs.dim() != 2:
        raise ValueError(
            "A teacher takes waveforms [batch, samples], got the shape "
            f"{list(wavs.shape)}"
        )
    if lens is None:
        return torch.ones(len(wavs), device=wavs.device)
    if lens.shape != wavs.shape[:1]:
        raise ValueError(
            f"Expected {len(wavs)} relative lengths, one a waveform, got the "
            f"shape {list(lens.shape)}"
        )
    return lens.to(wavs.device)
