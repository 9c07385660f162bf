"""Inside the networks: the student looks at the frames the teacher does."""

import torch

from speechbrain_kd.losses.frames import at_fewer_frames, spoken
from speechbrain_kd.losses.hidden import HiddenTerm, Place

_SMALLEST = 1e-8


class PoolingAttention(HiddenTerm):
    """KL between the weights with which both networks pool over time.

    The module that is named gives attention logits [channels, frames], of
    which its network takes the softmax over time: ``asp.conv`` in an ECAPA,
    ``attention.3`` in SpeechBrain's ResNet. That softmax is taken here, as
    no module does in an ECAPA. The mean over channels says how much of the
    embedding comes of each frame, whatever the numbers of channels:
    KL(teacher's ‖ student's). There is nothing to adapt.

    Arguments
    ---------
    student : str | Sequence[str]
        Path of a module in ``embedding_model``; or of several.
    teacher : str | Sequence[str]
        As many paths in the teacher, such as ``embedding_model.asp.conv``.

    Raises
    ------
    ValueError
        If a module has no time axis, or paths are not one for one.

    Reference
    ---------
    Zagoruyko & Komodakis, "Paying More Attention to Attention", ICLR 2017,
    arXiv 1612.03928; the weights: Okabe et al., "Attentive Statistics
    Pooling for Deep Speaker Embedding", Interspeech 2018, arXiv 1803.10963.

    Example
    -------
    >>> term = PoolingAttention("asp.conv", "embedding_model.asp.conv")
    >>> logits = torch.randn(4, 50, 8)
    >>> ours = {"asp.conv": logits + 7}  # softmax ignores a shift
    >>> term(ours, {"embedding_model.asp.conv": logits}).abs() < 1e-5
    tensor(True)
    """

    def adapter(self, student: Place, teacher: Place) -> torch.nn.Module:
        """Nothing; refuses modules that have no time axis."""
        for whose, place in (("student", student), ("teacher", teacher)):
            if place.time_axis is None:
                raise ValueError(
                    "PoolingAttention compares weights over time, and the "
                    f"{whose}'s {place.path} gives {place.width} numbers an "
                    "utterance: name the layer whose output goes into the "
                    "softmax of the pooling, such as asp.conv"
                )
        return torch.nn.Identity()

    def compare(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        lens: torch.Tensor | None,
        adapter: torch.nn.Module,
    ) -> torch.Tensor:
        """KL divergence. Shapes [batch, frames, channels] → scalar."""
        student, teacher = at_fewer_frames(
            _weights(student, lens), _weights(teacher, lens)
        )
        ours, theirs = (
            (one / one.sum(1, keepdim=True)).clamp(min=_SMALLEST)
            for one in (student, teacher)
        )
        return (theirs * (theirs.log() - ours.log())).sum((1, 2)).mean()


def _weights(logits: torch.Tensor, lens: torch.Tensor | None) -> torch.Tensor:
    """Weights of the frames: [batch, frames, channels] → [batch, frames, 1]."""
    padding = ~spoken(logits, lens)[..., None]
    weights = logits.masked_fill(padding, -torch.inf).softmax(dim=1)
    return weights.mean(dim=2, keepdim=True)
