"""Relations: the utterances of a batch are alike as the teacher hears them."""

import torch
from torch.nn import functional

from speechbrain_kd.losses.term import DistillationTerm


class CosineGram(DistillationTerm):
    """Mean over all pairs of (cos of the student - cos of the teacher)².

    What verification uses are the cosines between utterances. This compares
    them alone, and leaves the student free to turn its space: the term stays
    as it is under a rotation of the student's embeddings and whatever their
    lengths. The pairs are those of the utterances of all ranks, each with
    itself included, which adds nothing.

    The values are small, as most cosines of both are near 0: the paper's
    weight is 3000.

    Reference
    ---------
    Tung and Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019,
    arXiv 1907.09682, on cosines in the place of dot products.

    Example
    -------
    >>> embeddings = torch.randn(6, 8)
    >>> rotation = torch.linalg.qr(torch.randn(8, 8))[0]
    >>> CosineGram()(embeddings @ rotation, embeddings) < 1e-10
    tensor(True)
    """

    across_utterances = True

    def distance(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """Mean over pairs. Shapes [batch, dim] → scalar."""
        student = functional.normalize(student, dim=-1)
        teacher = functional.normalize(teacher, dim=-1)
        return (student @ student.T - teacher @ teacher.T).square().mean()
