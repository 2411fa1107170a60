"""Sessions come from the archive, and the log is read on from where it was."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from desireline.connectors.documents import Document
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.log_source import Cursor, LogBatch, LogSource
from desireline.sidecar.config import load_config
from desireline.sidecar.learning.from_clicks import pull_sessions, trusted_sessions
from desireline.sidecar.reports.cycle_report import Diary
from desireline.sidecar.reports.log_reports import kept_report
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.target import Target
from desireline.sidecar.wiring import open_sidecar
from desireline.trainer.logs.shown_ids import DEFECT

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PEOPLE = 6


class Counted:
    """A log source that counts the events it gave."""

    def __init__(self, inner: LogSource) -> None:
        self._inner, self.events = inner, 0

    def pull(self, since: Cursor | None = None) -> Iterator[LogBatch]:
        for batch in self._inner.pull(since):
            self.events += len(batch.queries) + len(batch.actions)
            yield batch


def write(folder: Path, day: int, shown: tuple[str, ...] = ("a", "b")) -> None:
    """As many people as privacy asks for search for shoes that many days ago, and click."""
    with (folder / "clicks.ndjson").open("a") as file:
        for person in range(PEOPLE):
            at = (NOW - timedelta(days=day, minutes=person)).isoformat()
            both = {"query_id": f"q{day}-{person}", "client": f"person-{person}", "at": at}
            for record in (
                {"type": "query", "text": "shoes", "shown": shown, **both},
                {"type": "click", "document_id": "a", "position": 1, **both},
            ):
                file.write(json.dumps(record) + "\n")


Opened = Callable[..., Any]


@pytest.fixture
def target(tmp_path: Path) -> Opened:
    @contextmanager
    def opened(more: str = "") -> Iterator[tuple[Target, Counted]]:
        path = tmp_path / "desireline.toml"
        path.write_text(
            f"""
            data_dir = "data"
            [targets.shop]
            index = "shop"
            text = ["title"]
            logs = {{ kind = "files", path = "clicks.ndjson"{more} }}
            """
        )
        engine = MemoryEngine()
        engine.create_index("shop", ["title"])
        engine.index_documents("shop", [Document(document_id=each, fields={}) for each in "ab"])
        with closing(open_sidecar(load_config(path), clock=lambda: NOW)) as sidecar:
            parts = sidecar.parts("shop")
            assert parts.log_source is not None
            log = Counted(parts.log_source)
            yield replace(parts, log_source=log, engine=engine), log

    return opened


def searches(found: Target) -> int:
    return pull_sessions(found).health.searches


def test_the_log_is_read_on_and_the_sessions_are_of_all_of_it(
    target: Opened, tmp_path: Path
) -> None:
    write(tmp_path, day=3)
    with target() as (found, log):
        assert searches(found) == PEOPLE
        assert searches(found) == PEOPLE
        assert log.events == 2 * PEOPLE
    write(tmp_path, day=1)
    with target() as (found, log):
        assert searches(found) == 2 * PEOPLE
        assert log.events == 2 * PEOPLE


def test_sessions_from_the_archive_are_those_of_the_log_itself(
    target: Opened, tmp_path: Path
) -> None:
    for day in (1, 4, 2, 9):
        write(tmp_path, day)
    with target() as (found, _):
        kept = pull_sessions(found)
        read = pull_sessions(replace(found, archive=None))
    assert kept.frame.equals(read.frame)
    assert replace(kept.health, defects={}) == replace(read.health, defects={})


def test_other_settings_of_the_log_read_it_from_its_start(target: Opened, tmp_path: Path) -> None:
    write(tmp_path, day=3)
    with target() as (found, _):
        searches(found)
    with target(', actions = ["purchase"]') as (found, log):
        sessions = pull_sessions(found)
        assert log.events == PEOPLE
        assert sessions.health.clicks == 0
    with target(', batch_size = 3, actions = ["purchase"]') as (found, log):
        searches(found)
        assert log.events == 0


def test_numbers_that_are_no_documents_of_the_index_are_reported(
    target: Opened, tmp_path: Path
) -> None:
    write(tmp_path, day=1, shown=("17", "4"))
    write(tmp_path, day=2, shown=("a", "b"))
    with target() as (found, _):
        sessions = pull_sessions(found)
    assert sessions.health.defects[DEFECT] == PEOPLE
    assert not sessions.frame.filter(pl.col("document_id").is_in(["17", "4"])).height


def test_the_report_kept_by_whoever_trusts_is_that_of_desireline_logs(
    target: Opened, tmp_path: Path
) -> None:
    for day in (0, 1, 2):
        write(tmp_path, day)
    with target() as (parts, _):
        sessions = pull_sessions(parts)
        diary = Diary(parts.store, "shop", SilentReporter(), parts.clock)
        trusted_sessions(parts, sessions, diary)
        kept = kept_report(parts.store, "shop")
        config = load_config(tmp_path / "desireline.toml")
        with closing(open_sidecar(config, clock=lambda: NOW)) as again:
            told = again.read_logs("shop")
    assert kept is not None
    assert kept["left_out"]
    assert kept["left_out"] != sessions.health.left_out
    assert {**kept, "read_at": told["read_at"]} == json.loads(json.dumps(told))
