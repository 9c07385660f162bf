"""A student's forward and backward pass as CUDA graphs.

A small student has several hundred kernels of a few microseconds each, and
starting them takes the processor longer than running them takes the GPU. A
graph starts all of them at once.
"""

import logging

import torch
from torch.autograd.function import once_differentiable
from torch.func import functional_call

logger = logging.getLogger(__name__)

#: Batches of one shape in a row before a graph of that shape is made.
_REPEATS = 3

#: Passes before a capture, in which libraries choose and allocate.
_WARM_UP = 3


class GraphedEncoder:
    """Calls an encoder, through CUDA graphs where the shape of batches lasts.

    The same kernels run on the same numbers. Parameters, buffers and
    ``state_dict`` of the encoder stay its own; batches of other shapes,
    relative lengths, evaluation and what cannot be captured go to the encoder
    itself.

    Arguments
    ---------
    model : torch.nn.Module
        Features [batch, time, mels] and relative lengths to embeddings.
    accumulates : bool
        Whether gradients are added up over batches. They then have memory of
        their own; otherwise they lie in that of the graph, until the next
        backward pass.

    Example
    -------
    >>> from speechbrain.lobes.models.Xvector import Xvector
    >>> encoder = GraphedEncoder(Xvector(in_channels=80, lin_neurons=4))
    >>> encoder(torch.zeros(2, 50, 80)).shape, encoder.captured
    (torch.Size([2, 1, 4]), False)
    """

    def __init__(
        self, model: torch.nn.Module, accumulates: bool = False
    ) -> None:
        self.model = model
        self.accumulates = accumulates
        self._graphs = None
        self._key = None
        self._repeats = 0
        self._refused = False

    @property
    def captured(self) -> bool:
        """Whether there is a graph."""
        return self._graphs is not None

    def __call__(
        self, feats: torch.Tensor, lens: torch.Tensor | None = None
    ) -> torch.Tensor:
        """As the encoder.

        Arguments
        ---------
        feats : torch.Tensor
            Shape [batch, time, mels].
        lens : torch.Tensor | None
            Relative lengths [batch]; ``None`` where nothing is padded.

        Returns
        -------
        torch.Tensor
            The encoder's; overwritten by the next call.
        """
        if not self._fits(feats, lens):
            return self.model(feats, lens)
        key = (feats.shape, feats.dtype, torch.is_autocast_enabled("cuda"))
        if key != self._key:
            self._key, self._repeats, self._graphs = key, 0, None
        if self._graphs is None:
            self._repeats += 1
            if self._repeats > _REPEATS:
                self._capture(feats)
        if self._graphs is None:
            return self.model(feats, None)
        return self._graphs(feats, self.accumulates)

    def _fits(self, feats, lens):
        """Whether a graph could stand for this call."""
        return (
            feats.is_cuda
            and lens is None
            and self.model.training
            and torch.is_grad_enabled()
            and not feats.requires_grad
            and not self._refused
        )

    def _capture(self, feats):
        """Makes the graphs; leaves buffers and generator as they were."""
        kept = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
        state = torch.cuda.get_rng_state(feats.device)
        try:
            self._graphs = _Graphs(self.model, feats)
        except RuntimeError as error:
            self._refused = True
            _settle(feats.device)
            logger.warning(
                "No CUDA graph of %s, which is called as it is: %s",
                type(self.model).__name__,
                str(error.__context__ or error).splitlines()[0],
            )
        torch.cuda.set_rng_state(state, feats.device)
        with torch.no_grad():
            for buffer, before in kept:
                buffer.copy_(before)


class _Graphs:
    """A forward and a backward pass over memory of their own."""

    def __init__(self, model, feats):
        self.feats = feats.detach().clone()
        self.params = [p for p in model.parameters() if p.requires_grad]
        # The same memory, unknown to whatever earlier pass is still alive:
        # autograd would make its stream wait for the capture.
        aliases = {
            name: param.detach().requires_grad_(param.requires_grad)
            for name, param in model.named_parameters()
        }
        self._inputs = [a for a in aliases.values() if a.requires_grad]

        def encode():
            return functional_call(model, aliases, (self.feats, None))

        # What autograd needs to see in order to ask for a backward pass.
        self.anchor = torch.zeros((), device=feats.device, requires_grad=True)
        self.forward, self.backward = (torch.cuda.CUDAGraph() for _ in "fb")
        stream = torch.cuda.Stream(feats.device)
        autocast = torch.autocast(
            "cuda",
            torch.get_autocast_dtype("cuda"),
            enabled=torch.is_autocast_enabled("cuda"),
            cache_enabled=False,
        )
        stream.wait_stream(torch.cuda.current_stream(feats.device))
        with autocast, torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                out = encode()
                self._gradients(out, torch.zeros_like(out))
            del out
        torch.cuda.synchronize(feats.device)
        pool = torch.cuda.graph_pool_handle()
        # Threads that read ahead go on pinning memory meanwhile.
        options = {
            "pool": pool,
            "stream": stream,
            "capture_error_mode": "thread_local",
        }
        with autocast, torch.cuda.graph(self.forward, **options):
            self.out = encode()
        self.grad = torch.zeros_like(self.out)
        with torch.cuda.graph(self.backward, **options):
            self.grads = self._gradients(self.out, self.grad)
        self.out = self.out.detach()

    def _gradients(self, out, grad):
        """Gradients of the parameters; ``None`` of those not used."""
        return torch.autograd.grad(out, self._inputs, grad, allow_unused=True)

    def __call__(self, feats, accumulates):
        """Replays the forward pass."""
        self.feats.copy_(feats)
        return _Replay.apply(self.anchor, self, accumulates)

    def hand_over(self, accumulates):
        """Gives the parameters their gradients."""
        for param, grad in zip(self.params, self.grads, strict=True):
            if grad is None:
                continue
            if param.grad is not None:
                param.grad.add_(grad)
            else:
                param.grad = grad.clone() if accumulates else grad


class _Replay(torch.autograd.Function):
    """Connects the graphs with autograd.

    The backward pass sets the gradients of the parameters itself: to hand a
    hundred of them to autograd takes longer than the graph.
    """

    @staticmethod
    def forward(ctx, anchor, graphs, accumulates):
        """Replays; gives the output."""
        ctx.graphs, ctx.accumulates = graphs, accumulates
        graphs.forward.replay()
        return graphs.out.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """Replays; sets the parameters' gradients."""
        ctx.graphs.grad.copy_(grad)
        ctx.graphs.backward.replay()
        ctx.graphs.hand_over(ctx.accumulates)
        return None, None, None


def _settle(device):
    """Ends what a failed capture has begun.

    The generator still believes in the capture until the next one ends.
    """
    torch.cuda.synchronize(device)
    with torch.cuda.graph(torch.cuda.CUDAGraph()):
        torch.zeros(1, device=device)


def why_not_graphed(model: torch.nn.Module) -> str | None:
    """Why a model must be called as it is.

    Arguments
    ---------
    model : torch.nn.Module
        The encoder.

    Returns
    -------
    str | None
        A reason; ``None`` where there is none.

    Example
    -------
    >>> why_not_graphed(torch.nn.Linear(2, 2)) is None
    True
    >>> why_not_graphed(torch.jit.script(torch.nn.Linear(2, 2)))
    'it is compiled'
    """
    if isinstance(model, torch.jit.ScriptModule) or hasattr(model, "_orig_mod"):
        return "it is compiled"
    if isinstance(model, torch.nn.parallel.DistributedDataParallel):
        return "its gradients are shared by ranks"
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    if any(getattr(part, name) for part in model.modules() for name in hooks):
        return "it has hooks"
    return None
