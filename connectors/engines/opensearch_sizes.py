"""Sizes as a cluster's settings say them: ``85%``, ``0.85``, ``500mb``."""

import re

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(b|k|kb|m|mb|g|gb|t|tb|p|pb)?\s*", re.IGNORECASE)
_UNITS = ("b", "k", "m", "g", "t", "p")
#: Kept free where the cluster itself does not watch its disks, as its flood stage would.
_UNWATCHED_SHARE = 0.05
_LOW_WATERMARK = "85%"


def floor_bytes(low_watermark: str | None, total_bytes: int, *, enforced: bool) -> int:
    """Return how much of a disk must stay available under a low watermark.

    A percentage or a ratio is of the disk that is *used*; a size is what must stay *free*.

    Args:
        low_watermark: as the settings say it; None where they may not be read: the default.
        total_bytes: of the disk.
        enforced: whether the cluster watches its disks at all; if not, 5 % is kept free, for a
            full disk stops a node whoever watches.

    """
    if not enforced:
        return int(total_bytes * _UNWATCHED_SHARE)
    share = _ratio(low_watermark or _LOW_WATERMARK)
    if share is not None:
        return int(total_bytes * (1 - share))
    size = size_bytes(low_watermark or "")
    return floor_bytes(None, total_bytes, enforced=True) if size is None else size


def memory_bytes(limit: str, total_bytes: int) -> int | None:
    """Return a limit of memory that is a size or a percentage of what there is."""
    share = _ratio(limit)
    return int(total_bytes * share) if share is not None else size_bytes(limit)


def size_bytes(text: str) -> int | None:
    """Return a size such as ``500mb``; None where it is none."""
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    unit = (found[2] or "b").lower()[0]
    return int(float(found[1]) * 1024 ** _UNITS.index(unit))


def _ratio(text: str) -> float | None:
    number, percent, rest = text.strip().partition("%")
    try:
        value = float(number)
    except ValueError:
        return None
    if percent:
        return value / 100 if not rest else None
    # A ratio has its point; "500" without a unit is a size.
    return value if "." in number and value <= 1 else None
