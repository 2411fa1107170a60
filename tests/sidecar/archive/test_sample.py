"""A log larger than memory: whole clients are left out, and said to be."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.sidecar.archive.event_archive import EventArchive
from desireline.sidecar.archive.sample import LEFT_OUT, frames_within
from desireline.trainer.logs.frames import SCHEMAS, LogFrames, tables_of

START = datetime(2026, 3, 3, 12, tzinfo=UTC)
CLIENTS, SEARCHES = 200, 5


def events(*, named: bool = True, searches: bool = True) -> LogBatch:
    """Each client searches five times, is shown two documents and clicks one."""
    numbers = range(CLIENTS * SEARCHES)
    ats = [START + timedelta(minutes=number) for number in numbers]
    who = [f"c{number % CLIENTS}" if named else "" for number in numbers]
    queries = [
        Query(query_id=f"q{n}", text="shoe", at=ats[n], client=who[n], shown=("a", "b"))
        for n in numbers
    ]
    clicks = [
        Action(
            query_id=f"q{n}" if searches else "",
            document_id="a",
            kind="click",
            at=ats[n],
            # A browser's cookie where the search has an account.
            client=f"cookie-{n % CLIENTS}",
            text="shoe",
        )
        for n in numbers
    ]
    seen = [Impression(query_id=f"q{n}", document_id="a", position=1, at=ats[n]) for n in numbers]
    return LogBatch(
        cursor=Cursor("x"),
        queries=tuple(queries) if searches else (),
        impressions=tuple(seen),
        actions=tuple(clicks),
        defects={"broken line": 3},
    )


def read(folder: Path, batch: LogBatch, most_rows: int, *, seed: int = 7) -> LogFrames:
    archive = EventArchive(folder / str(len(list(folder.iterdir()))))
    with archive.pulling("s") as pull:
        pull.keep(tables_of(batch), batch.cursor, batch.defects, today=date(2026, 3, 4))
    with archive.reading() as kept:
        return frames_within(kept, None, most_rows=most_rows, seed=seed)


def ids(frame: pl.DataFrame) -> set[str]:
    return set(frame.get_column("query_id"))


def test_a_log_that_fits_is_read_whole(tmp_path: Path) -> None:
    found = read(tmp_path, events(), CLIENTS * SEARCHES * 4)
    assert found.queries.height == CLIENTS * SEARCHES
    assert found.defects == {"broken line": 3}


def test_of_a_larger_one_some_clients_are_kept_whole_with_all_that_was_done(
    tmp_path: Path,
) -> None:
    found = read(tmp_path, events(), CLIENTS * SEARCHES)
    searches = found.queries.group_by("client").len().get_column("len").to_list()
    assert set(searches) == {SEARCHES}
    assert CLIENTS / 8 < len(searches) < CLIENTS / 2.5
    assert ids(found.actions) == ids(found.impressions) == ids(found.queries)
    assert found.defects[LEFT_OUT] == CLIENTS * SEARCHES - found.queries.height
    assert found.defects["broken line"] == 3


def test_searches_that_name_no_client_are_drawn_one_by_one(tmp_path: Path) -> None:
    found = read(tmp_path, events(named=False), CLIENTS * SEARCHES)
    assert CLIENTS * SEARCHES / 8 < found.queries.height < CLIENTS * SEARCHES / 2.5
    assert ids(found.actions) == ids(found.queries)


def test_a_log_without_searches_is_drawn_by_the_clients_of_its_actions(tmp_path: Path) -> None:
    found = read(tmp_path, events(searches=False), CLIENTS * SEARCHES // 2)
    left = found.actions.group_by("client").len()
    assert set(left.get_column("len")) == {SEARCHES}
    assert 0 < left.height < CLIENTS / 2


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_draws_the_same_clients(tmp_path: Path, seed: int) -> None:
    def clients(seeds: Iterable[int]) -> list[set[str]]:
        found = [read(tmp_path, events(), CLIENTS * SEARCHES, seed=each) for each in seeds]
        return [set(each.queries.get_column("client")) for each in found]

    one, same, other = clients((seed, seed, seed + 10))
    assert one == same != other


def test_every_table_has_its_columns(tmp_path: Path) -> None:
    found = read(tmp_path, events(), CLIENTS)
    for name, schema in SCHEMAS.items():
        assert getattr(found, name).columns == list(schema)
