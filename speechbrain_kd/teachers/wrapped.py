"""A teacher around a teacher: what both say of audio is the same."""

import torch

from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.heard import Heard


class WrappedTeacher(Teacher):
    """Asks another teacher, whose stored answers serve both.

    Subclasses say what follows from an answer (``target``, ``classify``), and
    ``learn`` it from what ``lesson`` gives.

    Arguments
    ---------
    teacher : Teacher
        Whose answers are used.
    utterances_per_speaker : int | None
        Most utterances of a speaker to learn from; None takes all.
    seconds : float | None
        Most to hear of an utterance; None hears all.
    **about : Any
        As of ``Teacher``, where that is not as the teacher's.
    """

    learns = True

    def __init__(
        self,
        teacher: Teacher,
        utterances_per_speaker: int | None,
        seconds: float | None,
        **about,
    ) -> None:
        given = {
            "embedding_dim": teacher.embedding_dim,
            "trained_on": teacher.trained_on,
            "digests": teacher.digests,
        }
        super().__init__(teacher.source, **given | about)
        self.teacher = teacher
        self.revision = teacher.revision
        self.utterances_per_speaker = utterances_per_speaker
        self.seconds = seconds

    def lesson(self, training: Heard, validation: Heard | None) -> Heard:
        """Lets the teacher learn first; gives what to learn from here.

        Arguments
        ---------
        training : Heard
            The training utterances.
        validation : Heard | None
            Held-out utterances of the training speakers.

        Returns
        -------
        Heard
            Some of the training utterances, not more than was asked for.
        """
        if self.teacher.learns:
            self.teacher.learn(training, validation)
        self.digests = dict(self.teacher.digests)
        return training.some(self.utterances_per_speaker, self.seconds)

    @property
    def answer_dim(self) -> int:
        """As the teacher's."""
        return self.teacher.answer_dim

    def answer(self, wavs: torch.Tensor) -> torch.Tensor:
        """As the teacher's."""
        return self.teacher.answer(wavs)

    def answer_fingerprint(self) -> str:
        """The teacher's: its store serves both."""
        return self.teacher.answer_fingerprint()

    def target(self, answers: torch.Tensor) -> torch.Tensor:
        """As the teacher's."""
        return self.teacher.target(answers)

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor | None:
        """As the teacher's."""
        return self.teacher.classify(embeddings)

    def feature_key(self) -> tuple | None:
        """As the teacher's."""
        return self.teacher.feature_key()

    def encode(self, wavs: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
        """As the teacher's."""
        return self.teacher.encode(wavs, lens)

    def encode_features(
        self, feats: torch.Tensor, lens: torch.Tensor
    ) -> torch.Tensor:
        """As the teacher's."""
        return self.teacher.encode_features(feats, lens)
