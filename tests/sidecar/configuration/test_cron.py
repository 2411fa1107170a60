"""Cron lines mean what cron means by them."""

from datetime import UTC, datetime, timedelta

import pytest

from desireline.sidecar.configuration.cron import cron_trigger

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def weekdays(field: str) -> list[int]:
    """Days of one week, 1 is Monday, on which the line fires."""
    trigger = cron_trigger(f"0 2 * * {field}", "UTC")
    fires = []
    at = MONDAY
    while (at := trigger.get_next_fire_time(None, at)) < MONDAY + timedelta(days=7):
        fires.append(at.isoweekday())
        at += timedelta(seconds=1)
    return fires


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("*", [1, 2, 3, 4, 5, 6, 7]),
        ("0", [7]),
        ("7", [7]),
        ("1-5", [1, 2, 3, 4, 5]),
        ("0-3", [1, 2, 3, 7]),
        ("5-7", [5, 6, 7]),
        ("fri-sun", [5, 6, 7]),
        ("*/2", [2, 4, 6, 7]),
        ("MON,thu", [1, 4]),
        ("1-5/2", [1, 3, 5]),
    ],
)
def test_weekdays_count_from_sunday_as_cron_does(field: str, days: list[int]) -> None:
    assert weekdays(field) == days


@pytest.mark.parametrize(
    "line", ["", "0 2 * *", "0 2 * * 8", "0 2 * * 5-1", "0 2 * * 1/0", "61 * * * *", "0 2 * * x"]
)
def test_a_line_that_is_not_cron_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        cron_trigger(line, "UTC")


def test_a_line_runs_in_its_time_zone() -> None:
    fires = cron_trigger("0 2 * * *", "Europe/Berlin").get_next_fire_time(None, MONDAY)
    assert fires == datetime(2026, 11, 23, 1, tzinfo=UTC)
