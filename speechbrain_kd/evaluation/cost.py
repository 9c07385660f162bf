"""What a model costs: parameters, multiply-adds, bytes and time."""

import io
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from speechbrain_kd.data.audio import SAMPLE_RATE


def count_parameters(module: torch.nn.Module) -> int:
    """Counts the parameters of a module, each shared one once.

    Arguments
    ---------
    module : torch.nn.Module
        The encoder, as a rule: classifiers are not shipped.

    Returns
    -------
    int
        The count, without buffers such as BatchNorm statistics.

    Example
    -------
    >>> count_parameters(torch.nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(module: object, *inputs: torch.Tensor) -> int | None:
    """Counts the multiply-adds of one call of a module.

    Convolutions, matrix products and attention are counted, as is usual;
    additions, activations and normalisations are not. The figure of the
    project is that from the features of 2 s of speech to the embedding.

    Arguments
    ---------
    module : object
        The encoder. It is called in eval mode without gradients and left as
        it was.
    *inputs : torch.Tensor
        What to call it with, such as features [1, frames, mels].

    Returns
    -------
    int | None
        The count; None where PyTorch does not do the work, as with an ONNX
        model, and nothing can be counted.

    Example
    -------
    >>> count_macs(torch.nn.Linear(3, 2), torch.ones(5, 3))
    30
    """
    if not isinstance(module, torch.nn.Module):
        return None
    counter = FlopCounterMode(display=False)
    with evaluating(module), torch.no_grad(), counter:
        module(*inputs)
    # An operation counts as two: a multiplication and an addition.
    return counter.get_total_flops() // 2 or None


def model_bytes(model: torch.nn.Module | str | Path) -> int:
    """Bytes of a model as saved: of its float32 state, or of its file.

    Arguments
    ---------
    model : torch.nn.Module | str | Path
        The encoder; or the file of a model that is not PyTorch's.

    Returns
    -------
    int
        Size of the checkpoint that ``torch.save`` writes of the state.

    Example
    -------
    >>> half = torch.nn.Linear(100, 100).half()
    >>> model_bytes(half) == model_bytes(half.float()) > 4 * 100 * 101
    True
    """
    if isinstance(model, (str, Path)):
        return Path(model).stat().st_size
    state = {
        name: value.detach().cpu().float()
        if value.is_floating_point()
        else value.detach().cpu()
        for name, value in model.state_dict().items()
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.tell()


def time_per_second(
    embed_fn: Callable[[torch.Tensor], torch.Tensor],
    duration_s: float = 2.0,
    repeats: int = 15,
    warmup: int = 3,
    sample_rate: int = SAMPLE_RATE,
) -> float:
    """Milliseconds for a second of speech, waveform to embedding, one thread.

    Arguments
    ---------
    embed_fn : Callable[[torch.Tensor], torch.Tensor]
        Waveforms [1, samples] to embeddings, on the CPU and in eval mode.
        PyTorch's threads are set to one here; a model that runs elsewhere
        (ONNX Runtime) must be built with one thread by its maker.
    duration_s : float
        Length of the waveform, in seconds.
    repeats : int
        Calls that are timed; their median is taken.
    warmup : int
        Calls before them that are not.
    sample_rate : int
        Samples per second.

    Returns
    -------
    float
        Milliseconds of work for each second of speech.

    Raises
    ------
    ValueError
        If there is nothing to time.

    Example
    -------
    >>> time_per_second(lambda wavs: wavs.mean(dim=1, keepdim=True)) > 0
    True
    """
    if duration_s <= 0 or repeats < 1:
        raise ValueError(
            "duration_s must be positive and repeats at least 1, got "
            f"{duration_s} and {repeats}"
        )
    generator = torch.Generator().manual_seed(0)
    samples = round(duration_s * sample_rate)
    wav = 0.1 * torch.randn(1, samples, generator=generator)
    times = []
    with one_thread(), torch.no_grad():
        for _ in range(warmup):
            embed_fn(wav)
        for _ in range(repeats):
            start = time.perf_counter()
            embed_fn(wav)
            times.append(time.perf_counter() - start)
    return 1000.0 * statistics.median(times) / duration_s


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs PyTorch on one thread for a while.

    Example
    -------
    >>> before = torch.get_num_threads()
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Puts a module in eval mode for a while, each part back as it was.

    Arguments
    ---------
    module : torch.nn.Module
        The module.

    Example
    -------
    >>> module = torch.nn.Dropout()
    >>> with evaluating(module):
    ...     module.training
    False
    >>> module.training
    True
    """
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training
