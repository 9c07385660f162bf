"""The contract of a teacher: frozen for good, fed waveforms at 16 kHz."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from speechbrain_kd.teachers.fingerprint import fingerprint
from speechbrain_kd.teachers.output import TeacherOutput, checked_lens

if TYPE_CHECKING:
    from speechbrain_kd.teachers.heard import Heard


class Teacher(torch.nn.Module):
    """A frozen speaker model. Subclasses implement ``encode`` (``classify``
    where they have classes) and end their constructor with ``freeze()``.

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
        Corpora it was trained on, for an evaluation to heed.
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

    #: Whether it must ``learn`` from the training set before it is asked.
    learns = False

    #: The commit of the hub that was loaded, where it came from there.
    revision: str | None = None

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

    def learn(self, training: "Heard", validation: "Heard | None") -> None:
        """Learns what it needs of the training set; by default nothing.

        Called where ``learns`` is True, before stores are opened: by every
        rank, the main one first, and again by a resumed run. What takes long
        is for ``Heard`` to remember.

        Arguments
        ---------
        training : Heard
            The training utterances.
        validation : Heard | None
            Held-out utterances of the training speakers.
        """

    @property
    def answer_dim(self) -> int:
        """Size of an ``answer``."""
        return self.embedding_dim

    def answer(self, wavs: torch.Tensor) -> torch.Tensor:
        """What is stored of waveforms ``[batch, samples]``, unpadded.

        ``[batch, answer_dim]``, from which follow the embedding, by
        ``target``, and logits, by ``classify``. Mostly the embedding itself.
        """
        return self.embed(wavs)

    def answer_fingerprint(self) -> str:
        """As ``fingerprint``, of the answers, which may depend on less."""
        return self.fingerprint()

    def target(self, answers: torch.Tensor) -> torch.Tensor:
        """Embeddings ``[batch, dim]`` of answers ``[batch, answer_dim]``."""
        return answers

    def encode(self, wavs: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
        """Answers a batch; for subclasses to implement.

        Arguments
        ---------
        wavs : torch.Tensor
            ``[batch, samples]`` at 16 kHz, fp32.
        lens : torch.Tensor
            Relative lengths ``[batch]``.

        Returns
        -------
        torch.Tensor
            ``[batch, dim]``, or ``[batch, answer_dim]`` where that differs.
        """
        raise NotImplementedError(f"{type(self).__name__} has no encode()")

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor | None:
        """Scores answers against the classes; None without a classifier.

        Arguments
        ---------
        embeddings : torch.Tensor
            What ``encode`` gave, ``[batch, dim]``.

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
        lens = checked_lens(wavs, lens)
        with torch.autocast(wavs.device.type, enabled=False):
            if feats is None:
                answers = self.encode(wavs.float(), lens).float()
            else:
                answers = self.encode_features(feats.float(), lens).float()
            embeddings = self.target(answers).detach()
            logits = self.classify(answers)
        if logits is not None:
            logits = logits.float().detach()
        return TeacherOutput(embeddings, logits)

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
