"""The limits that protect people hold unless they are given up by name, and time is up in time."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from desireline.sidecar.config import load_config, parse_config
from desireline.sidecar.configuration.errors import ConfigError
from desireline.sidecar.learning.from_clicks import pull_sessions
from desireline.sidecar.wiring import open_sidecar

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def target(**tables):
    values = {"targets": {"shop": {"index": "shop", "text": ["title"], **tables}}}
    return parse_config(values, source="a test", folder=Path()).targets["shop"]


def test_by_default_five_clients_stand_behind_a_query_and_three_behind_a_pair():
    config = target().session_config
    assert (config.min_clients, config.min_pair_clients, config.unnamed) == (5, 3, "one")
    assert target().privacy.keep_days == 90
    assert target().privacy.salt_days == 30


@pytest.mark.parametrize("limit", ["min_clients", "min_pair_clients"])
def test_one_client_is_enough_only_where_local_mode_says_so(limit):
    with pytest.raises(ConfigError, match=r'privacy\.mode = "local"'):
        target(sessions={limit: 1})
    assert getattr(target(sessions={limit: 2}).session_config, limit) == 2
    local = target(sessions={limit: 1}, privacy={"mode": "local"})
    assert getattr(local.session_config, limit) == 1


def test_local_mode_gives_up_the_limits_that_the_file_does_not_name():
    config = target(privacy={"mode": "local"}).session_config
    assert (config.min_clients, config.min_pair_clients) == (1, 1)
    named = target(sessions={"min_clients": 4}, privacy={"mode": "local", "keep": "7d"})
    assert (named.session_config.min_clients, named.session_config.min_pair_clients) == (4, 1)
    assert named.privacy.keep_days == 7
    assert target(privacy={"mode": "local"}).privacy.keep_days is None


@pytest.mark.parametrize("wrong", [{"keep": "1h"}, {"salt_period": "12h"}, {"mode": "none"}])
def test_a_wrong_setting_is_refused_by_its_place(wrong):
    with pytest.raises(ConfigError, match=r"targets\.shop\.privacy"):
        target(privacy=wrong)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def pulled(tmp_path):
    """A shop whose log holds a search of today, of 80 and of 200 days ago; pulled once."""
    records = [
        {"type": "query", "query_id": f"q{age}", "text": "shoes", "client": "ann", "shown": ["a"],
         "at": (NOW - timedelta(days=age)).isoformat()}
        for age in (0, 80, 200)
    ]  # fmt: skip
    (tmp_path / "clicks.ndjson").write_text("".join(json.dumps(each) + "\n" for each in records))
    (tmp_path / "desireline.toml").write_text(
        f"""
        [targets.shop]
        index = "shop"
        text = ["title"]
        logs = {{ kind = "files", path = "{tmp_path}/clicks.ndjson" }}
        """
    )
    clock = Clock()
    config = load_config(tmp_path / "desireline.toml")
    with closing(open_sidecar(config, clock=clock)) as sidecar:
        sessions = pull_sessions(sidecar.parts("shop"))
        yield sidecar, clock, sessions, config.data_dir


def ages(sidecar) -> list[int]:
    with sidecar.parts("shop").archive.reading() as events:
        return [(NOW.date() - day).days for day in events.days][::-1]


def test_events_beyond_their_time_go_at_once_and_are_counted(pulled):
    sidecar, _, sessions, _ = pulled
    assert ages(sidecar) == [0, 80]
    assert sessions.health.defects["events older than privacy.keep, removed"] == 1


def test_a_running_sidecar_lets_events_and_salts_go_in_time(pulled):
    sidecar, clock, _, folder = pulled
    assert len(list((folder / "salts").glob("*.salt"))) == 3
    clock.now = NOW + timedelta(days=11)
    sidecar.keep_promises("shop")
    assert ages(sidecar) == [0]
    clock.now = NOW + timedelta(days=33)
    sidecar.keep_promises("shop")
    assert not list((folder / "salts").glob("*.salt"))
    clock.now = NOW + timedelta(days=91)
    sidecar.keep_promises("shop")
    assert ages(sidecar) == []
