"""The terms that relate utterances, and the sums that check them."""

import math

import torch

from speechbrain_kd.losses import (
    ContrastiveQueue,
    CosineGram,
    QueueSimilarity,
    RelationalAngle,
    RelationalDistance,
)

BATCH, DIM = 6, 5
SHAPES = {
    "gram": CosineGram,
    "distance": RelationalDistance,
    "distance, raw": lambda: RelationalDistance(normalise=False),
    "angle": RelationalAngle,
    "angle, raw": lambda: RelationalAngle(normalise=False),
}
QUEUES = {
    "neighbours": lambda: QueueSimilarity(size=9, temperature=0.3),
    "contrast": lambda: ContrastiveQueue(size=9, temperature=0.3),
}
TERMS = SHAPES | QUEUES


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator)


def make(name):
    """A term, with a part-filled queue that stays as it is."""
    term = TERMS[name]()
    if name in QUEUES:
        term(*random(2, 4, DIM, seed=3))
    return term.eval()


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def unit(row):
    length = math.sqrt(dot(row, row)) or 1.0
    return [x / length for x in row]


def units(rows):
    return [unit(row) for row in rows.tolist()]


def minus(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]


def huber(gap):
    return gap * gap / 2 if abs(gap) < 1 else abs(gap) - 0.5
