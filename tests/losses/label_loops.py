"""Logits of a few speakers, and divergences of them by plain loops."""

import math

import torch

BATCH, CLASSES = 5, 9
LABELS = torch.tensor([3, 0, 8, 3, 5])


def cosines() -> tuple[torch.Tensor, torch.Tensor]:
    """Of a student and a teacher that are far from one another."""
    draw = torch.Generator().manual_seed(0)
    return tuple(
        2 * torch.rand(BATCH, CLASSES, generator=draw) - 1 for _ in range(2)
    )


def rows(student, teacher):
    """Of every utterance both lists of logits, and the label."""
    return zip(student.tolist(), teacher.tolist(), LABELS.tolist(), strict=True)


def softmax(logits):
    highest = max(logits)
    powers = [math.exp(logit - highest) for logit in logits]
    return [power / sum(powers) for power in powers]


def divergence(theirs, ours):
    pairs = zip(theirs, ours, strict=True)
    return sum(p * math.log(p / q) for p, q in pairs if p > 0)


def groups(student, teacher, label, chosen):
    """Divergence of masses (target, chosen, rest) and within the chosen."""
    ours, theirs = softmax(student), softmax(teacher)
    rest = [k for k in range(CLASSES) if k != label and k not in chosen]
    masses = [
        [sum(side[k] for k in group) for group in ([label], chosen, rest)]
        for side in (theirs, ours)
    ]
    within = [softmax([side[k] for k in chosen]) for side in (teacher, student)]
    return divergence(*masses), divergence(*within)
