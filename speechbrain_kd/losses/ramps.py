"""What changes with the progress of the training: weights, temperatures."""

from collections.abc import Mapping, Sequence

#: The name of the loss on the labels among the weights.
CLASSIFICATION = "classification"


def rise(epoch: float, start: float, end: float) -> float:
    """0 before a ramp, 1 after it, linear on it.

    Arguments
    ---------
    epoch : float
        Epochs done, with the fraction of the present one.
    start, end : float
        Where the ramp begins and ends; the same for a step.

    Returns
    -------
    float
        From 0 to 1.

    Example
    -------
    >>> [rise(epoch, 2, 4) for epoch in (0, 2, 3, 4, 9)]
    [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    if start == end:
        return float(epoch >= start)
    return min(max((epoch - start) / (end - start), 0.0), 1.0)


class Schedule:
    """A number, or one that moves linearly from one value to another.

    It holds no state: a resumed run finds it where it left it.

    Arguments
    ---------
    given : float | Sequence[float]
        The number; or [from, to, start, end], where the last two are in
        epochs.
    name : str
        What it is, for the message.

    Raises
    ------
    ValueError
        If it is neither, or the end is before the start.

    Example
    -------
    >>> [Schedule([4, 2, 0, 10], "temperature")(epoch) for epoch in (0, 5, 20)]
    [4.0, 3.0, 2.0]
    >>> Schedule(2.0, "temperature")(5)
    2.0
    """

    def __init__(self, given: float | Sequence[float], name: str) -> None:
        try:
            numbers = [float(number) for number in _listed(given)]
        except (TypeError, ValueError):
            numbers = []
        if len(numbers) == 1:
            numbers = [*numbers, *numbers, 0.0, 0.0]
        if len(numbers) != 4 or numbers[3] < numbers[2]:
            raise ValueError(
                f"{name}: expected a number, or [from, to, start, end] with "
                f"start and end in epochs; got {given!r}"
            )
        self.first, self.last, self.start, self.end = numbers

    def __call__(self, epoch: float) -> float:
        """The number after so many epochs (with a fraction)."""
        done = rise(epoch, self.start, self.end)
        return self.first + done * (self.last - self.first)


def _listed(given):
    """The numbers of a schedule; of one number, itself."""
    plain = isinstance(given, (int, float))
    return [given] if plain or isinstance(given, str) else list(given)


class TermWeights:
    """The weights of the terms, by name, and how they rise and fall.

    Arguments
    ---------
    terms : Sequence[str]
        The names of the terms.
    weights : Mapping[str, float]
        A weight for every term, and for ``classification``.
    warmup_epochs : float
        Epochs over which the weights of the terms rise from 0.
    ramps : Mapping[str, Sequence[float]] | None
        By name [start, end], falling where end is before start; or
        [start, full, fall, stop]. ``classification`` may be named too.

    Raises
    ------
    ValueError
        If terms and weights do not name the same things, or a ramp is none.

    Example
    -------
    >>> weights = TermWeights(
    ...     ["gram"],
    ...     {"classification": 1.0, "gram": 4.0},
    ...     ramps={"gram": [0, 2, 4, 8]},
    ... )
    >>> [weights.at("gram", epoch) for epoch in (0, 1, 2, 4, 6, 8)]
    [0.0, 2.0, 4.0, 4.0, 2.0, 0.0]
    """

    def __init__(
        self,
        terms: Sequence[str],
        weights: Mapping[str, float],
        warmup_epochs: float = 0.0,
        ramps: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        named = {CLASSIFICATION, *terms}
        if set(weights) != named:
            raise ValueError(
                "distillation: weights must name classification and every "
                f"term; expected {sorted(named)}, got {sorted(weights)}"
            )
        if unknown := set(ramps or {}) - named:
            raise ValueError(
                f"distillation: ramps name {sorted(unknown)}; expected some "
                f"of {sorted(named)}"
            )
        self.weights = dict(weights)
        self.ramps = dict.fromkeys(terms, (0.0, warmup_epochs))
        for name, ramp in (ramps or {}).items():
            self.ramps[name] = _checked(name, ramp)

    def at(self, name: str, epoch: float) -> float:
        """The weight of a term at a moment, with its ramp.

        Arguments
        ---------
        name : str
            A key of ``weights``.
        epoch : float
            Epochs done, with the fraction of the present one.

        Returns
        -------
        float
            The weight times its ramp.
        """
        start, end, *fall = self.ramps.get(name, (0.0, 0.0))
        if end < start:
            factor = 1 - rise(epoch, end, start)
        else:
            factor = rise(epoch, start, end)
        if fall:
            factor *= 1 - rise(epoch, *fall)
        return self.weights[name] * factor


def _checked(name, ramp):
    """A ramp of two or, in order, four epochs."""
    ramp = tuple(ramp)
    if len(ramp) not in (2, 4) or (
        len(ramp) == 4 and list(ramp) != sorted(ramp)
    ):
        raise ValueError(
            f"distillation: ramps: {name} must be [start, end] or, in order, "
            f"[start, full, fall, stop] in epochs; got {list(ramp)}"
        )
    return ramp
