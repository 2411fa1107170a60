"""Durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desireline.sidecar.configuration.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[("30s", 30), ("15m", 900), ("12h", 43200), ("2d", 172800), ("1d12h", 129600), (90, 90)],
        *[("1.5h", 5400), ("500ms", 0.5), (" 3 h ", 10800), (0, 0)],
    ],
)
def test_a_duration_is_read_in_seconds(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("junk", ["", "5", "-3s", "3 weeks", "h", True, None, -1, float("nan"), []])
def test_what_is_not_a_duration_is_refused(junk: object) -> None:
    with pytest.raises(ValueError, match="12h"):
        parse_duration(junk)


@given(st.integers(0, 86399), st.integers(0, 30))
def test_parts_add_up(seconds: int, days: int) -> None:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    written = f"{days}d{hours}h{minutes}m{left}s"
    assert parse_duration(written) == days * 86400 + seconds


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.25, "0.2 s"), (45, "45 s"), (4800, "1 h 20 min"), (90061, "1 d 1 h")]
)
def test_a_duration_is_shown_by_its_two_largest_units(seconds: float, shown: str) -> None:
    assert format_duration(seconds) == shown
