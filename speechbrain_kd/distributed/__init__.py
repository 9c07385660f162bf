"""Several ranks that do together what one process does."""

from speechbrain_kd.distributed.batch_norm import GatheredBatchNorm, convert
from speechbrain_kd.distributed.gather import (
    gather_objects,
    gather_rows,
    mean_over_ranks,
    ranks,
    sum_over_ranks,
)
from speechbrain_kd.distributed.sampler import GlobalBatchSampler
