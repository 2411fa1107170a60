"""What a user may say about when a run must wait."""

from pathlib import Path
from typing import Any

import pytest

from desireline.sidecar.config import parse_config
from desireline.sidecar.configuration.errors import ConfigError
from desireline.sidecar.configuration.throttle import ThrottleConfig


def parsed(**said: Any) -> ThrottleConfig:
    target = {"index": "products", "text": ["title"], "throttle": said}
    values = {"targets": {"products": target}}
    config = parse_config(values, source="desireline.toml", folder=Path("/etc/desireline"))
    return config.target("products").throttle


def test_left_out_the_limits_suit_a_night_nobody_watches() -> None:
    limits = parsed()
    assert (limits.cpu, limits.heap, limits.breaker, limits.disk) == (0.85, 0.85, 0.6, 1.0)
    assert (limits.search_ratio, limits.gentle, limits.rejections) == (1.5, 1.15, 5.0)
    assert (limits.flag_file, limits.probe_url, limits.documents_a_second) == (None, None, None)
    assert not any(limits.is_named(name) for name in ThrottleConfig.model_fields)


@pytest.mark.parametrize("off", ["off", False])
@pytest.mark.parametrize(
    "name",
    [
        "search_ratio",
        "search_p99",
        "gentle",
        "cpu",
        "heap",
        "breaker",
        "rejections",
        "disk",
        "heartbeat",
        "documents_a_second",
    ],
)
def test_every_limit_can_be_off(name: str, off: object) -> None:
    assert getattr(parsed(**{name: off}), name) is None


def test_with_every_figure_off_the_engine_is_not_measured() -> None:
    figures = ("cpu", "heap", "breaker", "rejections", "disk", "search_ratio", "gentle")
    assert not parsed(**dict.fromkeys(figures, "off")).watches_load
    assert parsed(**dict.fromkeys(figures[1:], "off")).watches_load
    assert parsed(**dict.fromkeys(figures, "off"), search_p99="1s").watches_load


def test_durations_and_paths_are_read_as_everywhere() -> None:
    limits = parsed(search_p99="250ms", rejections="1m", flag_file="pause.flag")
    assert (limits.search_p99, limits.rejections) == (0.25, 60.0)
    assert limits.flag_file == Path("/etc/desireline/pause.flag")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cpu", 85),
        ("cpu", 0),
        ("heap", True),
        ("breaker", -0.1),
        ("search_ratio", 1),
        ("gentle", 0.9),
        ("search_p99", "fast"),
        ("check_every", "1ms"),
        ("documents_a_second", 0),
        ("probe_url", "ftp://example.org"),
        ("probe_url", "https://ann:secret@example.org/health"),
        ("probe_url", "https://example.org/health\r\nHost: inside"),
        ("cpus", 0.5),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(**{name: value})
    assert f"targets.products.throttle.{name}" in str(caught.value)
