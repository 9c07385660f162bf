"""Distillation terms, one a file, and the objective that sums them."""

from speechbrain_kd.losses.cosine_embedding import CosineEmbedding
from speechbrain_kd.losses.objective import DistillationObjective
from speechbrain_kd.losses.posterior_kl import PosteriorKL
from speechbrain_kd.losses.squared_error import SquaredErrorEmbedding

__all__ = [
    "CosineEmbedding",
    "DistillationObjective",
    "PosteriorKL",
    "SquaredErrorEmbedding",
]
