"""Durations as people write them: ``30s``, ``12h``, ``1d12h``."""

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")


def parse_duration(value: object) -> float:
    """Return seconds; a bare number is already seconds.

    Raises:
        ValueError: not a duration, or negative.

    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    text = value.strip() if isinstance(value, str) else ""
    parts = list(_PART.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        raise ValueError("expected a duration such as 30s, 15m, 12h or 2d")
    return sum(float(part[1]) * _SECONDS[part[2]] for part in parts)


def format_duration(seconds: float) -> str:
    """Return the two largest units: ``1 h 20 min``, ``45 s``."""
    if seconds < 10:  # noqa: PLR2004 - below ten seconds the tenth matters
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
