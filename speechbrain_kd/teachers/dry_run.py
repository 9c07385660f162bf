"""What a teacher must do on two sounds before anything relies on it."""

from collections.abc import Callable

import torch

from speechbrain_kd.teachers.base import Teacher

_SAMPLES = (16000, 24000)
_PITCH_HZ = (110.0, 190.0)


def dry_run(teacher: Teacher) -> int:
    """Embeds two sounds of different lengths and looks at the answers.

    Arguments
    ---------
    teacher : Teacher
        A teacher with its weights in place.

    Returns
    -------
    int
        The size of an embedding.

    Raises
    ------
    ValueError
        Naming the source: if its layers do not fit together, or embeddings
        are not ``[batch, dim]``, depend in size on the length, are not finite
        or are the same for any sound.
    """
    try:
        answers = [
            teacher.embed(_sound(samples, pitch))
            for samples, pitch in zip(_SAMPLES, _PITCH_HZ, strict=True)
        ]
    except (RuntimeError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(
            f"The teacher {teacher.source} cannot embed 1 s of sound, its "
            f"layers or features do not fit together: {_first(error)}"
        ) from error
    check_answers(answers, teacher.source)
    return answers[0].shape[1]


def gives_cosines(
    classify: Callable[[torch.Tensor], torch.Tensor], embedding_dim: int
) -> bool:
    """Finds by trial whether a classifier gives cosines.

    Arguments
    ---------
    classify : Callable[[torch.Tensor], torch.Tensor]
        Embeddings ``[batch, dim]`` to scores ``[batch, classes]``.
    embedding_dim : int
        Size of an embedding.

    Returns
    -------
    bool
        Cosines are bounded and blind to the length of an embedding.

    Example
    -------
    >>> gives_cosines(torch.nn.Linear(8, 3), 8)
    False
    """
    noise = torch.Generator().manual_seed(0)
    embedding = torch.randn(1, embedding_dim, generator=noise)
    with torch.no_grad():
        once, tenfold = (classify(scale * embedding) for scale in (1.0, 10.0))
    return bool(
        once.abs().max() < 1.001 and torch.allclose(once, tenfold, atol=1e-4)
    )


def check_answers(answers: list[torch.Tensor], source: str) -> None:
    """Looks at what a teacher said of different sounds.

    Arguments
    ---------
    answers : list[torch.Tensor]
        Embeddings of two sounds or more, each ``[1, dim]``.
    source : str
        The teacher, for messages.

    Raises
    ------
    ValueError
        As :func:`dry_run`.

    Example
    -------
    >>> check_answers([torch.ones(1, 3), torch.ones(1, 3)], "a.onnx")
    Traceback (most recent call last):
    ...
    ValueError: The teacher a.onnx embeds any two sounds alike: ...
    """
    shapes = [list(answer.shape) for answer in answers]
    if any(len(shape) != 2 or shape[0] != 1 for shape in shapes):
        raise ValueError(
            f"The teacher {source} should give one embedding a sound, [1, "
            f"dim], it gives {shapes[0]}"
        )
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"The embedding of the teacher {source} grows with the utterance "
            f"({shapes[0][1]} values for 1 s, {shapes[1][1]} for 1.5 s)"
        )
    if not all(answer.isfinite().all() for answer in answers):
        raise ValueError(
            f"The teacher {source} gives embeddings that are NaN or infinite: "
            "its weights are broken"
        )
    largest = max(float(answer.abs().max()) for answer in answers)
    if float((answers[0] - answers[1]).abs().max()) <= 1e-6 * largest:
        raise ValueError(
            f"The teacher {source} embeds any two sounds alike: its weights "
            "are broken or not those of its layers"
        )


def _sound(samples: int, pitch_hz: float) -> torch.Tensor:
    """A buzz with some noise ``[1, samples]``, the same at every call."""
    generator = torch.Generator().manual_seed(samples)
    phase = torch.arange(samples) * (pitch_hz / 16000)
    noise = torch.randn(samples, generator=generator)
    return (0.2 * (phase % 1.0 - 0.5) + 0.02 * noise).unsqueeze(0)


def _first(error: Exception) -> str:
    """The first line of a message."""
    return (str(error) or type(error).__name__).splitlines()[0]
