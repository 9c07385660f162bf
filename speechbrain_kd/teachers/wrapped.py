"""A teacher around a teacher: what both say of audio is the same."""

import torch

from speechbrain_kd.teachers.base import Teacher


class WrappedTeacher(Teacher):
    """Asks another teacher, whose stored answers serve both.

    Subclasses say what follows from an answer: ``target``, ``classify``.

    Arguments
    ---------
    teacher : Teacher
        Whose answers are used.
    **about : Any
        As of ``Teacher``, where that is not as the teacher's.
    """

    def __init__(self, teacher: Teacher, **about) -> None:
        given = {
            "embedding_dim": teacher.embedding_dim,
            "trained_on": teacher.trained_on,
            "digests": teacher.digests,
        }
        super().__init__(teacher.source, **given | about)
        self.teacher = teacher
        self.revision = teacher.revision

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
