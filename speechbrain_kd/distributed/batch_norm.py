"""BatchNorm over the utterances of all ranks, on CPUs too.

``torch.nn.SyncBatchNorm`` refuses CPUs. With BatchNorm over a rank's part of
the batch alone, a run would depend on the number of its ranks.
"""

import torch

from speechbrain_kd.distributed.gather import ranks, sum_over_ranks


class GatheredBatchNorm(torch.nn.modules.batchnorm._BatchNorm):
    """Batch statistics of all ranks by one all_reduce a layer.

    In evaluation, and where there is one rank, it is the BatchNorm that it
    was made of, to the bit. ``convert`` makes it. The ranks may have
    different numbers of utterances and frames.
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Normalises each channel over batch and time of all ranks.

        Arguments
        ---------
        features : torch.Tensor
            Shape [batch, channels, ...].

        Returns
        -------
        torch.Tensor
            The same shape and dtype.
        """
        if not self.training or ranks()[1] == 1:
            return super().forward(features)
        self._check_input_dim(features)
        mean, var, count = self._moments(features.float())
        if self.track_running_stats:
            self._move(mean.detach(), var.detach(), count)
        scale = torch.rsqrt(var + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        shape = [1, -1] + [1] * (features.ndim - 2)
        normed = (features - mean.view(shape)) * scale.view(shape)
        if self.bias is not None:
            normed = normed + self.bias.view(shape)
        return normed.to(features.dtype)

    def _moments(self, features):
        """Mean, variance and count over all ranks.

        The sums are in double precision: sums of squares in single precision
        lose the variance of a channel whose mean is large.
        """
        dims = [dim for dim in range(features.ndim) if dim != 1]
        var, mean = torch.var_mean(features, dims, correction=0)
        var, mean = var.double(), mean.double()
        count = features.numel() // features.shape[1]
        sums = torch.cat([mean, var + mean.square(), mean.new_ones(1)])
        sums = sum_over_ranks(count * sums)
        total = sums[-1].detach()
        mean, square = (sums[:-1] / total).chunk(2)
        var = (square - mean.square()).clamp(min=0)
        return mean.float(), var.float(), total

    @torch.no_grad()
    def _move(self, mean, var, count):
        """Moves the running statistics as torch's BatchNorm does."""
        self.num_batches_tracked.add_(1)
        factor = self.momentum
        if factor is None:
            factor = 1.0 / float(self.num_batches_tracked)
        unbiased = var * (count / (count - 1).clamp(min=1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), factor)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), factor)


class _Gathered1d(GatheredBatchNorm, torch.nn.BatchNorm1d):
    """Of ``BatchNorm1d``."""


class _Gathered2d(GatheredBatchNorm, torch.nn.BatchNorm2d):
    """Of ``BatchNorm2d``."""


_KINDS = {
    torch.nn.BatchNorm1d: _Gathered1d,
    torch.nn.BatchNorm2d: _Gathered2d,
}


def convert(module: torch.nn.Module) -> torch.nn.Module:
    """Lets every BatchNorm in a module see all ranks.

    Arguments
    ---------
    module : torch.nn.Module
        Its BatchNorm layers change their class and keep their parameters,
        buffers, hooks and place, so that checkpoints, optimisers and
        exports do not notice.

    Returns
    -------
    torch.nn.Module
        The same module.

    Example
    -------
    >>> norm = torch.nn.BatchNorm1d(4)
    >>> keys = list(norm.state_dict())
    >>> convert(norm) is norm and list(norm.state_dict()) == keys
    True
    >>> isinstance(norm, GatheredBatchNorm)
    True
    >>> isinstance(norm, torch.nn.BatchNorm1d)
    True
    """
    for layer in module.modules():
        if type(layer) in _KINDS:
            layer.__class__ = _KINDS[type(layer)]
    return module
