"""From the log into the archive: once each, private first, whatever happens on the way."""

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch, helpers

from desireline.connectors.errors import EngineUnavailableError
from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.connectors.logs.files import FileLogsConfig
from desireline.sidecar.archive.event_archive import EventArchive
from desireline.sidecar.archive.pulling import Pulled, as_it_is, pull_into
from desireline.trainer.logs.frames import SCHEMAS

NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
START = NOW - timedelta(days=3)
KILLED = Path(__file__).parents[2] / "faults" / "killed_pull.py"


class Numbers:
    """A log whose events are numbered; it can break off, and it counts what it was asked."""

    def __init__(self, count: int, *, breaks_after: int | None = None) -> None:
        self.count, self.breaks_after, self.asked = count, breaks_after, 0

    def pull(self, since: Cursor | None = None) -> Iterator[LogBatch]:
        start = int(since.token) if since else 0
        for number in range(start, self.count):
            if self.breaks_after is not None and number >= self.breaks_after:
                raise EngineUnavailableError("gone")
            self.asked += 1
            yield LogBatch(
                cursor=Cursor(str(number + 1)),
                actions=(action(number),),
                defects={"event without position": 1},
            )


def action(number: int, at: datetime | None = None) -> Action:
    return Action(
        query_id=f"q{number}",
        document_id="d",
        kind="click",
        at=at or START + timedelta(minutes=number),
        client="alice",
    )


def pull(folder: Path, source: Any, *, held: int = 10, transform: Any = as_it_is) -> Pulled:
    return pull_into(
        EventArchive(folder),
        source,
        settings=FileLogsConfig(path="x"),
        clock=lambda: NOW,
        transform=transform,
        events_held=held,
    )


def ids(folder: Path, table: str = "actions") -> list[str]:
    with EventArchive(folder).reading() as events:
        return events.scan(table).collect().get_column("query_id").to_list()


def test_only_what_is_new_is_pulled(tmp_path: Path) -> None:
    log = Numbers(25)
    assert pull(tmp_path, log) == Pulled(events=25, batches=25)
    assert pull(tmp_path, log) == Pulled(events=0, batches=0)
    log.count = 30
    assert pull(tmp_path, log).events == 5
    assert log.asked == 30
    assert ids(tmp_path) == [f"q{n}" for n in range(30)]


def test_a_pull_that_broke_off_is_gone_on_from_what_it_kept(tmp_path: Path) -> None:
    log = Numbers(60, breaks_after=25)
    with pytest.raises(EngineUnavailableError):
        pull(tmp_path, log)
    assert ids(tmp_path) == [f"q{n}" for n in range(20)]
    log.breaks_after = None
    assert pull(tmp_path, log).events == 40
    assert sorted(Counter(ids(tmp_path)).values()) == [1] * 60


def test_defects_go_with_their_events(tmp_path: Path) -> None:
    log = Numbers(60, breaks_after=25)
    with pytest.raises(EngineUnavailableError):
        pull(tmp_path, log)
    log.breaks_after = None
    pull(tmp_path, log)
    with EventArchive(tmp_path).reading() as events:
        assert events.defects == {"event without position": 60}


def test_nothing_reaches_the_disk_before_it_is_made_private(tmp_path: Path) -> None:
    def private(batch: LogBatch) -> LogBatch:
        return replace(batch, actions=tuple(replace(each, client="h") for each in batch.actions))

    pull(tmp_path, Numbers(25), transform=private)
    assert all(b"alice" not in path.read_bytes() for path in tmp_path.glob("**/*.*"))
    with EventArchive(tmp_path).reading() as events:
        assert set(events.scan("actions").collect().get_column("client")) == {"h"}


def test_what_privacy_drops_is_not_asked_for_again(tmp_path: Path) -> None:
    log = Numbers(25)
    pull(tmp_path, log, transform=lambda batch: replace(batch, actions=()))
    pull(tmp_path, log)
    assert log.asked == 25
    assert ids(tmp_path) == []


def test_a_clock_that_runs_ahead_puts_no_event_after_its_pull(tmp_path: Path) -> None:
    ahead = [NOW + timedelta(days=300), NOW + timedelta(minutes=20), NOW - timedelta(hours=4)]

    class Skewed:
        def pull(self, since: Cursor | None = None) -> Iterator[LogBatch]:
            late = Query(query_id="q9", text="shoes", at=NOW + timedelta(days=1))
            actions = tuple(action(number, at) for number, at in enumerate(ahead))
            yield LogBatch(cursor=Cursor("1"), queries=(late,), actions=actions)

    pull(tmp_path, Skewed())
    with EventArchive(tmp_path).reading() as events:
        ats = events.scan("actions").collect().sort("query_id").get_column("at").to_list()
        assert ats == [NOW, *ahead[1:]]
        assert events.defects == {"event from the future": 2}
        assert max(events.days) == NOW.date()


# Killed.


def records(count: int) -> list[dict[str, Any]]:
    """Clicks by number over four days, out of order, and a search for each."""
    order = random.Random(3).sample(range(count), count)
    made = []
    for number in order:
        at = (START + timedelta(minutes=10 * number)).isoformat()
        made.append({"query_id": f"q{number}", "user_query": f"shoe {number}", "timestamp": at})
        subject = {"object": {"object_id": "d"}, "position": {"ordinal": 1}}
        about = {"action_name": "click", "event_attributes": subject}
        made.append({"query_id": f"q{number}", "timestamp": at, **about})
    return made


def killed_again_and_again(
    archive: Path, settings: dict[str, Any], operations: Sequence[int], *url: str
) -> int:
    """Pull, killed at each of these operations in turn, then to the end; return the kills."""
    kills = 0
    for operation in (*operations, 0):
        command = [sys.executable, str(KILLED), str(archive), json.dumps(settings)]
        ended = subprocess.run(
            [*command, str(operation), *url], capture_output=True, text=True, check=False
        )
        kills += ended.returncode == -signal.SIGKILL
        assert ended.returncode in {0, -signal.SIGKILL}, ended.stderr
    return kills


def require_each_once(archive: Path, count: int) -> None:
    wanted = {f"q{number}": 1 for number in range(count)}
    for table in ("queries", "actions"):
        assert Counter(ids(archive, table)) == wanted
    named = {path.relative_to(archive) for path in archive.glob("*/*.parquet")}
    with EventArchive(archive).reading() as events:
        assert len(named) == len(events.days) * 2
        assert all(events.scan(name).collect().height in {0, count} for name in SCHEMAS)


def test_killed_at_any_file_operation_no_event_is_lost_or_doubled(tmp_path: Path) -> None:
    """Each run of the pull dies a little later than the last, within a write, between two, in a
    compaction; the log of the next run is the archive that the last one left.
    """
    log = tmp_path / "log.ndjson"
    log.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records(400)))
    settings = {"kind": "files", "path": str(log), "batch_size": 30}
    archive = tmp_path / "archive"
    kills = killed_again_and_again(archive, settings, (4, 11, 23, 37, 45, 58, 71, 90, 130))
    assert kills >= 7
    require_each_once(archive, 400)


@pytest.mark.opensearch
def test_killed_while_it_reads_a_cluster_no_event_is_lost_or_doubled(
    tmp_path: Path, opensearch_url: str, index_prefix: str
) -> None:
    client = OpenSearch(opensearch_url, timeout=60)
    names = {True: f"{index_prefix}events", False: f"{index_prefix}queries"}
    mapping = {"properties": {"timestamp": {"type": "date"}}}
    for name in names.values():
        body = {"settings": {"number_of_shards": 2}, "mappings": mapping}
        client.indices.create(index=name, body=body)

    def write(some: list[dict[str, Any]]) -> None:
        lines = ({"_index": names["action_name" in each], "_source": each} for each in some)
        helpers.bulk(client, lines)

    settings = {"kind": "ubi", "queries_index": names[False], "events_index": names[True]}
    all_records = records(300)
    write(all_records[:400])
    archive = tmp_path / "archive"
    window = {"window": "3650d"}
    kills = killed_again_and_again(archive, settings | window, (5, 19, 40), opensearch_url)
    write(all_records[400:])
    kills += killed_again_and_again(archive, settings | window, (8, 31), opensearch_url)
    client.close()
    assert kills >= 4
    require_each_once(archive, 300)
