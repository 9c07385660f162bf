"""Distillation terms, one a file, and the objective that sums them."""

from speechbrain_kd.losses.centre_cosines import CentreCosines
from speechbrain_kd.losses.centre_posteriors import CentrePosteriors
from speechbrain_kd.losses.centres import TeacherCentres
from speechbrain_kd.losses.channel_gates import ChannelGates
from speechbrain_kd.losses.confusion_triage import ConfusionTriage
from speechbrain_kd.losses.contrastive import ContrastiveQueue
from speechbrain_kd.losses.cosine_embedding import CosineEmbedding
from speechbrain_kd.losses.decoupled_logits import DecoupledLogits
from speechbrain_kd.losses.frame_features import FrameFeatures
from speechbrain_kd.losses.gram import CosineGram
from speechbrain_kd.losses.neighbours import QueueSimilarity
from speechbrain_kd.losses.objective import DistillationObjective
from speechbrain_kd.losses.pooling_attention import PoolingAttention
from speechbrain_kd.losses.posterior_kl import PosteriorKL
from speechbrain_kd.losses.relational import RelationalDistance
from speechbrain_kd.losses.relational_angle import RelationalAngle
from speechbrain_kd.losses.squared_error import SquaredErrorEmbedding
from speechbrain_kd.losses.standardised_logits import StandardisedLogits

__all__ = [
    "CentreCosines",
    "CentrePosteriors",
    "ChannelGates",
    "ConfusionTriage",
    "ContrastiveQueue",
    "CosineEmbedding",
    "CosineGram",
    "DecoupledLogits",
    "DistillationObjective",
    "FrameFeatures",
    "PoolingAttention",
    "PosteriorKL",
    "QueueSimilarity",
    "RelationalAngle",
    "RelationalDistance",
    "SquaredErrorEmbedding",
    "StandardisedLogits",
    "TeacherCentres",
]
