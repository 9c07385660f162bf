"""What a teacher makes of a waveform, in words."""

import torch
from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.frontend import FrontEnd

_WAVEFORM = "waveforms"


def describe_features(teacher: Teacher) -> str:
    """Names front end, mel bins, scale and normalisation.

    Arguments
    ---------
    teacher : Teacher
        A single teacher.

    Returns
    -------
    str
        A line.

    Example
    -------
    >>> class Own(Teacher):
    ...     def __init__(self):
    ...         super().__init__("own", 1)
    ...         self.features = FrontEnd("kaldi", n_mels=24)
    >>> describe_features(Own())
    'kaldi fbank, 24 mels, povey window, waveform scale 1, mean removed'
    """
    front = getattr(teacher, "features", None)
    if isinstance(front, FrontEnd):
        return _of_front_end(front)
    compute = getattr(teacher, "compute_features", None)
    norm = getattr(teacher, "mean_var_norm", None)
    if isinstance(compute, torch.nn.Module):
        return f"{_of_module(compute)}, {_of_norm(norm)}"
    return "its own"


def _of_front_end(front: FrontEnd) -> str:
    """A front end that a yaml declared."""
    scale = f"waveform scale {front.waveform_scale:g}"
    if front.kind == "waveform":
        return f"{_WAVEFORM}, {scale}"
    parts = [f"{front.kind} fbank", f"{front.n_mels} mels"]
    if front.kind == "kaldi":
        parts.append(f"{front.compute_features.window_name} window")
        dither = front.compute_features.dither
        parts += [f"dither {dither:g}"] if dither else []
    mean = "mean removed" if front.mean_norm else "not normalised"
    return ", ".join([*parts, scale, mean])


def _of_module(compute: torch.nn.Module) -> str:
    """SpeechBrain's features."""
    if not isinstance(compute, Fbank):
        return type(compute).__name__
    mels = compute.compute_fbanks.n_mels
    deltas = ", deltas" if compute.deltas else ""
    return f"speechbrain fbank, {mels} mels{deltas}"


def _of_norm(norm: object) -> str:
    """SpeechBrain's normalisation."""
    if not isinstance(norm, InputNormalization):
        return "not normalised" if norm is None else type(norm).__name__
    what = "mean and deviation" if norm.std_norm else "mean"
    return f"{what} of the {norm.norm_type} removed"
