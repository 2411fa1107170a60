"""Events by day and the cursor with them: all of a write or none, and nothing left behind."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.sidecar.archive.event_archive import EventArchive
from desireline.sidecar.errors import ArchiveBrokenError
from desireline.trainer.logs.frames import SCHEMAS, gather, tables_of

START = datetime(2026, 3, 3, 23, 30, tzinfo=UTC)
TODAY = date(2026, 3, 10)


def batch(numbers: range, *, step: timedelta = timedelta(hours=1)) -> LogBatch:
    """One search, impression and click for each number, an hour apart."""
    ats = {number: START + number * step for number in numbers}
    return LogBatch(
        cursor=Cursor(f"after {numbers.stop}"),
        queries=tuple(
            Query(query_id=f"q{n}", text=f"Red  Shoes {n}", at=at, client="c", shown=("a", "b"))
            for n, at in ats.items()
        ),
        impressions=tuple(
            Impression(query_id=f"q{n}", document_id="a", position=1, at=at)
            for n, at in ats.items()
        ),
        actions=tuple(
            Action(query_id=f"q{n}", document_id="a", kind="click", at=at) for n, at in ats.items()
        ),
        defects={"broken line": 1},
    )


def keep(archive: EventArchive, *batches: LogBatch, source: str = "s") -> None:
    with archive.pulling(source) as pull:
        for each in batches:
            pull.keep(tables_of(each), each.cursor, each.defects, today=TODAY)


def cursor(archive: EventArchive, source: str = "s") -> Cursor | None:
    with archive.pulling(source) as pull:
        return pull.cursor


def query_ids(archive: EventArchive, since: datetime | None = None) -> list[str]:
    with archive.reading() as events:
        return events.scan("queries", since).collect().get_column("query_id").to_list()


def files(archive: EventArchive) -> list[str]:
    return sorted(str(path.relative_to(archive.folder)) for path in archive.folder.glob("*/*"))


@pytest.fixture
def archive(tmp_path: Path) -> EventArchive:
    return EventArchive(tmp_path / "events")


def test_what_is_read_is_what_the_log_gave(archive: EventArchive) -> None:
    batches = [batch(range(40)), batch(range(40, 70))]
    keep(archive, *batches)
    with archive.reading() as events:
        found = events.frames()
        assert events.rows == {"queries": 70, "impressions": 70, "actions": 70}
    direct = gather(batches)
    for table in SCHEMAS:
        assert getattr(found, table).equals(getattr(direct, table))
    assert found.defects == direct.defects
    assert cursor(archive) == Cursor("after 70")


def test_an_empty_archive_holds_nothing_and_begins_at_the_start(archive: EventArchive) -> None:
    assert cursor(archive) is None
    with archive.reading() as events:
        assert events.days == ()
        assert events.frames().queries.height == 0


def test_events_lie_under_the_day_they_happened_on(archive: EventArchive) -> None:
    keep(archive, batch(range(2)))
    with archive.reading() as events:
        assert events.days == (date(2026, 3, 3), date(2026, 3, 4))


def test_a_late_event_goes_to_its_own_day(archive: EventArchive) -> None:
    keep(archive, batch(range(40)), batch(range(-30, -29)))
    with archive.reading() as events:
        assert events.days[0] == date(2026, 3, 2)
    assert query_ids(archive)[0] == "q-30"


def test_only_events_from_a_time_on_are_read(archive: EventArchive) -> None:
    keep(archive, batch(range(50)))
    assert query_ids(archive, START + timedelta(hours=48)) == ["q48", "q49"]


def test_compacting_leaves_one_file_a_day_and_table_and_every_row(archive: EventArchive) -> None:
    keep(archive, *(batch(range(n, n + 1)) for n in range(5)))
    before = query_ids(archive)
    assert archive.compact() == 3 * (5 - 2)
    assert len(files(archive)) == 2 * 3
    assert query_ids(archive) == before
    assert archive.compact() == 0
    keep(archive, batch(range(5, 6)))
    assert query_ids(archive) == [*before, "q5"]


def test_many_small_writes_of_a_day_are_put_together_as_they_come(archive: EventArchive) -> None:
    short = timedelta(seconds=1)
    keep(archive, *(batch(range(n, n + 1), step=short) for n in range(80)))
    assert len(files(archive)) < 3 * 40
    assert query_ids(archive) == [f"q{n}" for n in range(80)]


def test_events_before_a_day_are_forgotten_with_their_files(archive: EventArchive) -> None:
    keep(archive, batch(range(50)))
    assert archive.forget_before(date(2026, 3, 5)) == 3 * 25
    assert query_ids(archive) == [f"q{n}" for n in range(25, 50)]
    assert all(name >= "2026-03-05" for name in files(archive))
    assert cursor(archive) == Cursor("after 50")
    assert archive.forget_before(date(2026, 3, 5)) == 0


def test_old_counts_of_defects_are_forgotten_too(archive: EventArchive) -> None:
    keep(archive, batch(range(3)))
    archive.forget_before(TODAY)
    with archive.reading() as events:
        assert events.defects == {"broken line": 1}
    archive.forget_before(TODAY + timedelta(days=1))
    with archive.reading() as events:
        assert events.defects == {}


def test_rewriting_removes_rows_from_every_file_and_says_how_many(archive: EventArchive) -> None:
    keep(archive, batch(range(50)))
    untouched = {name for name in files(archive) if name.startswith("2026-03-03")}
    gone = ["q30", "q31"]
    lost = archive.rewrite(lambda _, rows: rows.filter(~pl.col("query_id").is_in(gone)))
    assert lost == {"queries": 2, "impressions": 2, "actions": 2}
    assert len(query_ids(archive)) == 48
    assert untouched <= set(files(archive))
    for path in archive.folder.glob("*/*.parquet"):
        assert not set(gone) & set(pl.read_parquet(path).get_column("query_id"))


def test_a_day_that_lost_every_row_has_no_file(archive: EventArchive) -> None:
    keep(archive, batch(range(3)))
    archive.rewrite(lambda _, rows: rows.filter(pl.lit(value=False)))
    assert files(archive) == []
    assert query_ids(archive) == []


def test_a_write_that_was_not_finished_leaves_nothing(archive: EventArchive) -> None:
    keep(archive, batch(range(3)))
    whole = files(archive)
    stray = archive.folder / "2026-03-03" / "queries-00000099.parquet"
    stray.write_bytes(b"half a file")
    alone = archive.folder / "2026-01-01" / "queries-00000100.parquet"
    alone.parent.mkdir()
    alone.write_bytes(b"")
    assert len(query_ids(archive)) == 3
    assert cursor(archive) == Cursor("after 3")
    assert files(archive) == whole
    assert not alone.parent.exists()


def test_other_settings_begin_anew_once_their_first_events_are_kept(archive: EventArchive) -> None:
    keep(archive, batch(range(3)))
    assert cursor(archive, "other") is None
    assert len(query_ids(archive)) == 3
    keep(archive, batch(range(10, 11)), source="other")
    assert query_ids(archive) == ["q10"]
    assert cursor(archive, "other") == Cursor("after 11")


def test_a_longer_window_begins_anew_and_a_shorter_one_does_not(archive: EventArchive) -> None:
    days = timedelta(days=1)
    with archive.pulling("s", window=30 * days) as pull:
        pull.keep(tables_of(batch(range(1))), Cursor("x"), {}, today=TODAY)
    for window, expected in ((20 * days, "x"), (30 * days, "x"), (31 * days, ""), (None, "")):
        with archive.pulling("s", window=window) as pull:
            assert (pull.cursor.token if pull.cursor else "") == expected


def test_a_table_that_gained_a_column_reads_its_old_files(archive: EventArchive) -> None:
    keep(archive, batch(range(1)))
    (path,) = archive.folder.glob("2026-03-03/queries-*.parquet")
    pl.read_parquet(path).drop("client").with_columns(old=1).write_parquet(path)
    with archive.reading() as events:
        found = events.frames().queries
    assert found.columns == list(SCHEMAS["queries"])
    assert found.get_column("client").to_list() == [""]


@pytest.mark.parametrize("broken", ["ledger.json", "2026-03-03/queries-00000001.parquet"])
def test_a_file_that_was_damaged_is_named_with_what_to_do(
    archive: EventArchive, broken: str
) -> None:
    keep(archive, batch(range(1)))
    (archive.folder / broken).write_bytes(b"{")
    with (
        pytest.raises(ArchiveBrokenError, match="click log itself is unchanged") as caught,
        archive.reading() as events,
    ):
        events.frames()
    assert str(archive.folder) in caught.value.next_step


def test_nobody_else_may_look_into_the_folder(archive: EventArchive) -> None:
    keep(archive, batch(range(1)))
    assert archive.folder.stat().st_mode & 0o077 == 0
