"""Click logs on disk: formats, field maps, growing and rotated files, broken ones."""

import gzip
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.connectors.errors import LogFormatError
from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.connectors.logs.files import FileLogs, FileLogsConfig

AT = "2026-01-31T09:00:00Z"
RECORDS: list[dict[str, Any]] = [
    {
        "type": "query",
        "query_id": "q1",
        "text": "red shoes",
        "client": "c1",
        "at": AT,
        "shown": ["d7", "d3"],
        "first_position": 11,
    },
    {"type": "impression", "query_id": "q1", "document_id": "d7", "position": 11, "at": AT},
    {
        "type": "click",
        "query_id": "q1",
        "document_id": "d3",
        "position": 12,
        "client": "c1",
        "at": AT,
    },
]


def logs(path: Path | str | tuple[str, ...], **more: Any) -> FileLogs:
    given_path = str(path) if isinstance(path, Path) else path
    return FileLogs(FileLogsConfig(path=given_path, **more))


def lines(records: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(record) + b"\n" for record in records)


def click(number: int) -> dict[str, Any]:
    return {"type": "click", "query_id": f"q{number}", "document_id": "d", "position": 1, "at": AT}


def pulled(source: FileLogs, since: Cursor | None = None) -> tuple[list[LogBatch], Cursor | None]:
    batches = list(source.pull(since))
    return batches, batches[-1].cursor if batches else since


def clicked(batches: Iterable[LogBatch]) -> list[str]:
    return [action.query_id for batch in batches for action in batch.actions]


def require_records(batch: LogBatch) -> None:
    at = datetime(2026, 1, 31, 9, tzinfo=UTC)
    assert batch.queries == (
        Query(
            query_id="q1",
            text="red shoes",
            at=at,
            client="c1",
            shown=("d7", "d3"),
            first_position=11,
        ),
    )
    assert batch.impressions == (Impression(query_id="q1", document_id="d7", position=11, at=at),)
    assert batch.actions == (
        Action(query_id="q1", document_id="d3", kind="click", at=at, position=12, client="c1"),
    )
    assert batch.defects == {}


# Formats.


@pytest.mark.parametrize("name", ["log.ndjson", "log.jsonl", "log.ndjson.gz"])
def test_ndjson_is_read(tmp_path: Path, name: str) -> None:
    data = lines(RECORDS)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    ((batch,), cursor) = pulled(logs(tmp_path / name))
    require_records(batch)
    assert list(logs(tmp_path / name).pull(cursor)) == []


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.csv.gz"])
@pytest.mark.parametrize("shown", ["d7|d3", '["d7", "d3"]'])
def test_tables_as_text_are_read(tmp_path: Path, name: str, shown: str) -> None:
    rows = [record | ({"shown": shown} if "shown" in record else {}) for record in RECORDS]
    separator = "\t" if ".tsv" in name else ","
    text = pl.DataFrame(rows).write_csv(separator=separator).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    ((batch,), cursor) = pulled(logs(tmp_path / name))
    require_records(batch)
    assert list(logs(tmp_path / name).pull(cursor)) == []


def test_parquet_is_read(tmp_path: Path) -> None:
    frame = pl.DataFrame(RECORDS).with_columns(pl.col("at").str.to_datetime(time_zone="UTC"))
    frame.write_parquet(tmp_path / "log.parquet")
    ((batch,), cursor) = pulled(logs(tmp_path / "log.parquet"))
    require_records(batch)
    assert list(logs(tmp_path / "log.parquet").pull(cursor)) == []


def test_text_with_commas_quotes_and_line_ends_survives_csv(tmp_path: Path) -> None:
    record = RECORDS[0] | {"text": 'size "9", red\nor blue', "shown": "d1"}
    pl.DataFrame([record]).write_csv(tmp_path / "log.csv")
    ((batch,), _) = pulled(logs(tmp_path / "log.csv"))
    assert batch.queries[0].text == 'size "9", red\nor blue'


def test_other_names_and_words_are_mapped(tmp_path: Path) -> None:
    record = {
        "event": "product_view",
        "search": {"id": 17},
        "sku": 99,
        "rank": "0",
        "ts": 1_769_850_000,
        "session": "s",
    }
    (tmp_path / "log.ndjson").write_bytes(lines([record]))
    source = logs(
        tmp_path / "log.ndjson",
        fields={
            "type": "event",
            "query_id": "search.id",
            "document_id": "sku",
            "position": "rank",
            "at": "ts",
            "client": "session",
        },
        types={"product_view": "impression"},
    )
    ((batch,), _) = pulled(source)
    at = datetime.fromtimestamp(1_769_850_000, UTC)
    assert batch.impressions == (
        Impression(query_id="17", document_id="99", position=1, at=at, client="s"),
    )


def test_records_that_name_no_type_take_the_one_configured(tmp_path: Path) -> None:
    record = {key: value for key, value in click(1).items() if key != "type"}
    (tmp_path / "log.ndjson").write_bytes(lines([record]))
    ((batch,), _) = pulled(logs(tmp_path / "log.ndjson"))
    assert batch.defects == {"record without a type": 1}
    ((batch,), _) = pulled(logs(tmp_path / "log.ndjson", default_type="click"))
    assert clicked([batch]) == ["q1"]


def test_ubi_records_are_read_without_bulk_lines_too(tmp_path: Path) -> None:
    records = [
        {"query_id": "q1", "user_query": "shoe", "timestamp": AT},
        {
            "action_name": "click",
            "query_id": "q1",
            "timestamp": AT,
            "event_attributes": {"object": {"object_id": "d1"}, "position": {"ordinal": 1}},
        },
    ]
    (tmp_path / "log.ndjson").write_bytes(lines(records))
    ((batch,), _) = pulled(logs(tmp_path / "log.ndjson"))
    assert [query.text for query in batch.queries] == ["shoe"]
    assert clicked([batch]) == ["q1"]


# Growing, rotated, truncated and renamed files.


def test_batches_are_bounded_and_each_cursor_goes_on_behind_its_batch(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(lines(click(number) for number in range(25)))
    (tmp_path / "b.ndjson").write_bytes(lines(click(number) for number in range(25, 30)))
    source = logs(str(tmp_path / "*.ndjson"), batch_size=10)
    batches = list(source.pull())
    assert [len(batch.actions) for batch in batches] == [10, 10, 10]
    for number, batch in enumerate(batches, 1):
        rest = clicked(source.pull(batch.cursor))
        assert rest == [f"q{left}" for left in range(number * 10, 30)]


def test_a_line_still_being_written_is_left_for_the_next_pull(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    whole, half = lines([click(1)]), lines([click(2)])
    path.write_bytes(whole + half[:20])
    first, cursor = pulled(logs(path))
    assert clicked(first) == ["q1"]
    assert first[0].defects == {}
    path.write_bytes(whole + half)
    second, _ = pulled(logs(path), cursor)
    assert clicked(second) == ["q2"]


def test_a_csv_row_still_being_written_is_left_for_the_next_pull(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    text = pl.DataFrame([click(1), click(2)]).write_csv()
    path.write_text(text[:-30])
    first, cursor = pulled(logs(path))
    assert clicked(first) == ["q1"]
    path.write_text(text)
    second, _ = pulled(logs(path), cursor)
    assert clicked(second) == ["q2"]


def test_a_last_line_without_its_end_is_read(tmp_path: Path) -> None:
    (tmp_path / "log.ndjson").write_bytes(lines([click(1), click(2)]).rstrip())
    batches, cursor = pulled(logs(tmp_path / "log.ndjson"))
    assert clicked(batches) == ["q1", "q2"]
    assert list(logs(tmp_path / "log.ndjson").pull(cursor)) == []


def test_a_rotated_log_is_read_on_under_its_new_name_and_packed(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_bytes(lines(click(number) for number in range(5)))
    source = logs((str(path), str(tmp_path / "log-*.ndjson*")))
    _, cursor = pulled(source)
    with path.open("ab") as file:
        file.write(lines([click(5)]))
    path.rename(tmp_path / "log-1.ndjson")
    path.write_bytes(lines([click(6)]))
    batches, cursor = pulled(source, cursor)
    assert sorted(clicked(batches)) == ["q5", "q6"]
    packed = gzip.compress((tmp_path / "log-1.ndjson").read_bytes())
    (tmp_path / "log-1.ndjson").unlink()
    (tmp_path / "log-1.ndjson.gz").write_bytes(packed)
    assert list(source.pull(cursor)) == []


def test_a_truncated_log_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_bytes(lines(click(number) for number in range(5)))
    _, cursor = pulled(logs(path))
    path.write_bytes(lines([click(0)]))
    batches, cursor = pulled(logs(path), cursor)
    assert clicked(batches) == ["q0"]
    path.write_bytes(lines(click(number) for number in range(10, 30)))
    batches, _ = pulled(logs(path), cursor)
    assert clicked(batches) == [f"q{number}" for number in range(10, 30)]


def test_new_files_of_a_pattern_are_found(tmp_path: Path) -> None:
    source = logs(str(tmp_path / "**" / "*.ndjson"))
    (tmp_path / "a.ndjson").write_bytes(lines([click(1)]))
    _, cursor = pulled(source)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.ndjson").write_bytes(lines([click(2)]))
    batches, _ = pulled(source, cursor)
    assert clicked(batches) == ["q2"]


def test_positions_from_zero_are_remembered_across_pulls(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_bytes(lines([click(1) | {"position": 0}]))
    batches, cursor = pulled(logs(path))
    assert batches[0].actions[0].position == 1
    with path.open("ab") as file:
        file.write(lines([click(2) | {"position": 4}]))
    batches, _ = pulled(logs(path), cursor)
    assert batches[0].actions[0].position == 5


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.integers(1, 7))
def test_however_the_file_grows_every_record_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], batch_size: int
) -> None:
    """Pulls at any byte of a growing file, with any batch size."""
    path = tmp_path_factory.mktemp("log") / "log.ndjson"
    data = lines(click(number) for number in range(20))
    source, cursor, found = logs(path, batch_size=batch_size), None, []
    for step in (*steps, len(data)):
        size = min((path.stat().st_size if path.exists() else 0) + step, len(data))
        path.write_bytes(data[:size])
        batches, cursor = pulled(source, cursor)
        found += clicked(batches)
    assert found == [f"q{number}" for number in range(20)]


# Broken logs.


def test_broken_lines_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    data = b"oops\n" + lines([click(1)]) + b"[1]\n\n" + lines([{"type": "click"}, click(2)])
    (tmp_path / "log.ndjson").write_bytes(data)
    ((batch,), _) = pulled(logs(tmp_path / "log.ndjson"))
    assert clicked([batch]) == ["q1", "q2"]
    assert batch.defects["broken line"] == 2
    assert batch.defects["event without a time"] == 1


def test_a_file_of_broken_lines_is_an_error_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "log.ndjson").write_bytes(b"\nnot json\nat all\n")
    with pytest.raises(LogFormatError, match=r"log\.ndjson can be read, from line 2 on"):
        list(logs(tmp_path / "log.ndjson").pull())


def test_an_archive_cut_short_gives_what_it_holds_and_counts_the_cut(tmp_path: Path) -> None:
    data = lines({**click(n), "noise": os.urandom(30).hex()} for n in range(200))
    (tmp_path / "log.ndjson.gz").write_bytes(gzip.compress(data)[:-4000])
    batches, _ = pulled(logs(tmp_path / "log.ndjson.gz"))
    assert 0 < len(clicked(batches)) < 200
    assert batches[-1].defects == {"broken line": 1}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("log.ndjson.gz", b"not gzip"),
        ("log.parquet", b"not parquet"),
        ("log.txt", b"x\n"),
        ("log.parquet", b""),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(LogFormatError, match=name) as caught:
        list(logs(tmp_path / name).pull())
    assert caught.value.next_step


def test_no_file_is_an_error_that_names_the_pattern(tmp_path: Path) -> None:
    with pytest.raises(LogFormatError, match=r"clicks-\*\.csv"):
        list(logs(str(tmp_path / "clicks-*.csv")).pull())


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    for name in ("a.ndjson", "b.csv"):
        (tmp_path / name).touch()
        assert list(logs(tmp_path / name).pull()) == []
