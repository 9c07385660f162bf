"""Relations over three steps, in one process or as one of two ranks.

As a program: ``python relation_ranks.py FOLDER RANK WORLD``; the answer is saved in
the folder.
"""

import torch
from apart import be_a_rank

from speechbrain_kd.distributed import ranks
from speechbrain_kd.distributed.brain import DistributedDataParallel
from speechbrain_kd.losses import (
    ContrastiveQueue,
    CosineGram,
    DistillationObjective,
    QueueSimilarity,
    RelationalAngle,
    RelationalDistance,
)

#: Where the first rank's rows end.
_FIRST = 2


def steps() -> dict:
    """Losses, gradients and queues of all relations."""
    draw = torch.Generator().manual_seed(5)
    model = torch.nn.Linear(5, 5, bias=False)
    model.weight.data.copy_(torch.randn(5, 5, generator=draw))
    rank, world = ranks()
    own = slice(None)
    if world > 1:
        model = DistributedDataParallel(model)
        own = (slice(0, _FIRST), slice(_FIRST, None))[rank]
    terms = {
        "gram": CosineGram(),
        "distance": RelationalDistance(),
        "angle": RelationalAngle(),
        "neighbours": QueueSimilarity(size=9),
        "contrast": ContrastiveQueue(size=9),
    }
    weights = dict.fromkeys(["classification", *terms], 1.0)
    objective = DistillationObjective(terms, weights)
    found = {"losses": {name: [] for name in terms}, "grads": []}
    (param,) = model.parameters()
    for _ in range(3):
        wavs, targets = torch.randn(2, 6, 5, generator=draw)
        param.grad = None
        losses = objective(
            {"embeddings": model(wavs[own])}, {"embeddings": targets[own]}
        )
        sum(losses.values()).backward()
        found["grads"].append(param.grad.clone())
        for name, loss in losses.items():
            found["losses"][name].append(loss.item())
    found["queues"] = {
        name: objective.terms[name].queue.rows
        for name in ("neighbours", "contrast")
    }
    return found


if __name__ == "__main__":
    be_a_rank(lambda folder: steps())
