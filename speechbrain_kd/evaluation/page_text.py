"""Numbers as the page writes them, and which of them are the best."""

from collections.abc import Iterable, Mapping

from speechbrain_kd.evaluation.evaluation import ListResult
from speechbrain_kd.evaluation.seen import Exposure, Exposures


def best_values(results: Mapping[str, ListResult]) -> dict[str, float]:
    """The best value of each column of a list's tables.

    Arguments
    ---------
    results : Mapping[str, ListResult]
        By system.

    Returns
    -------
    dict[str, float]
        By name of the measure, and where it has operating points by both,
        such as ``"min_dcf 0.01"``.
    """
    found = list(results.values())
    best = {
        key: min(values)
        for key in ("eer", "rocch_eer", "cllr", "min_cllr")
        if (values := _known(getattr(one, key) for one in found))
    }
    best["auc"] = max(one.auc for one in found)
    for key, choose in (("min_dcf", min), ("act_dcf", min), ("tmr", max)):
        for point in points(found, key):
            values = _known(
                (getattr(one, key) or {}).get(point) for one in found
            )
            best[f"{key} {point}"] = choose(values)
    return best


def _known(values: Iterable[float | None]) -> list[float]:
    """Those that were measured."""
    return [value for value in values if value is not None]


def points(results: list[ListResult], key: str) -> list[float]:
    """The operating points at which something was measured.

    Arguments
    ---------
    results : list[ListResult]
        Of all systems.
    key : str
        "min_dcf", "act_dcf" or "tmr".
    """
    return list(
        dict.fromkeys(
            point for one in results for point in (getattr(one, key) or {})
        )
    )


def percent(rate: float | None, sign: bool = False) -> str:
    """A rate in per cent, without the unit; a dash where there is none.

    Example
    -------
    >>> percent(0.0123), percent(-0.004, sign=True), percent(None)
    ('1.23', '−0.40', '–')
    """
    if rate is None:
        return "–"
    return f"{100 * rate:{'+' if sign else ''}.2f}".replace("-", "−")


def fixed(value: float | None, form: str = ".3f") -> str:
    """A number in a given form; a dash where there is none.

    Example
    -------
    >>> fixed(0.12345), fixed(None)
    ('0.123', '–')
    """
    return "–" if value is None else f"{value:{form}}".replace("-", "−")


def scaled(value: float | None, unit: str = "") -> str:
    """A number of three digits and its unit.

    Example
    -------
    >>> scaled(39_600), scaled(158_400, "B"), scaled(None)
    ('39.6 k', '158 kB', '–')
    """
    if value is None:
        return "–"
    step = 0
    # 999.5 would take a fourth digit.
    while value >= 999.5 and step < 3:
        value, step = value / 1000.0, step + 1
    return f"{value:.3g} {('', 'k', 'M', 'G')[step]}{unit}".rstrip()


def told(seen: Exposures, name: str, system: str) -> str:
    """What a system has met of a list's speakers; else it is not known.

    Example
    -------
    >>> told({"O": {"a": Exposure(40)}}, "O", "a"), told({}, "O", "a")
    ('none of 40', 'not known')
    """
    one = seen.get(name, {}).get(system)
    return "not known" if one is None else one.label


def marked(seen: Exposures, name: str, system: str) -> str:
    """A system's name, marked where it has met speakers of a list.

    Example
    -------
    >>> marked({"E": {"a": Exposure(1251, 1211)}}, "E", "a")
    'a (contaminated)'
    """
    one = seen.get(name, {}).get(system, Exposure(0))
    return f"{system} ({one.mark})" if one.contaminated else system
