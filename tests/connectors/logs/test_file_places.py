"""Log files that are not on this machine's disk."""

import gzip
import io
import uuid
from collections.abc import Iterator
from typing import Any

import fsspec
import orjson
import polars as pl
import pytest

from desireline.connectors.errors import LogFormatError, PluginMissingError
from desireline.connectors.log_source import Cursor
from desireline.connectors.logs.files import FileLogs, FileLogsConfig

AT = "2026-01-31T09:00:00Z"


@pytest.fixture
def folder() -> Iterator[str]:
    """A folder at an address; the memory of this process stands for a store of objects."""
    name = f"/logs-{uuid.uuid4().hex}"
    fsspec.filesystem("memory").mkdir(name)
    yield f"memory:/{name}"
    fsspec.filesystem("memory").rm(name, recursive=True)


def click(number: int) -> dict[str, Any]:
    return {"type": "click", "query_id": f"q{number}", "document_id": "d", "position": 1, "at": AT}


def lines(numbers: range) -> bytes:
    return b"".join(orjson.dumps(click(number)) + b"\n" for number in numbers)


def put(place: str, content: bytes, mode: str = "wb") -> None:
    with fsspec.open(place, mode) as file:
        file.write(content)


def pulled(path: str | tuple[str, ...], since: Cursor | None = None) -> tuple[list[str], Cursor]:
    batches = list(FileLogs(FileLogsConfig(path=path, batch_size=4)).pull(since))
    cursor = batches[-1].cursor if batches else since
    assert cursor is not None
    return [action.query_id for batch in batches for action in batch.actions], cursor


def named(numbers: range) -> list[str]:
    return [f"q{number}" for number in numbers]


def test_a_file_at_an_address_is_read_on_as_it_grows(folder: str) -> None:
    place = f"{folder}/log.ndjson"
    put(place, lines(range(10)))
    found, cursor = pulled(place)
    assert found == named(range(10))
    put(place, lines(range(10, 13)), "ab")
    found, cursor = pulled(place, cursor)
    assert found == named(range(10, 13))
    assert pulled(place, cursor)[0] == []


@pytest.mark.parametrize("kind", ["ndjson.gz", "csv", "csv.gz", "parquet"])
def test_every_format_is_read_at_an_address(folder: str, kind: str) -> None:
    frame, held = pl.DataFrame([click(number) for number in range(9)]), io.BytesIO()
    frame.write_parquet(held)
    written = {
        "ndjson": lines(range(9)),
        "csv": frame.write_csv().encode(),
        "parquet": held.getvalue(),
    }[kind.removesuffix(".gz")]
    put(f"{folder}/log.{kind}", gzip.compress(written) if kind.endswith(".gz") else written)
    found, cursor = pulled(f"{folder}/log.{kind}")
    assert found == named(range(9))
    assert pulled(f"{folder}/log.{kind}", cursor)[0] == []


def test_a_pattern_finds_new_files_at_an_address(folder: str) -> None:
    put(f"{folder}/a.ndjson", lines(range(3)))
    found, cursor = pulled(f"{folder}/*.ndjson")
    assert found == named(range(3))
    put(f"{folder}/b.ndjson", lines(range(3, 5)))
    put(f"{folder}/other.txt", b"no log")
    assert pulled(f"{folder}/*.ndjson", cursor)[0] == named(range(3, 5))


def test_files_here_and_there_are_one_log(folder: str, tmp_path: Any) -> None:
    put(f"{folder}/a.ndjson", lines(range(3)))
    (tmp_path / "b.ndjson").write_bytes(lines(range(3, 5)))
    found, _ = pulled((str(tmp_path / "*.ndjson"), f"{folder}/*"))
    assert sorted(found) == named(range(5))


def test_an_address_that_matches_nothing_is_named(folder: str) -> None:
    with pytest.raises(LogFormatError, match=r"none\.ndjson"):
        pulled(f"{folder}/none.ndjson")


@pytest.mark.parametrize("protocol", ["s3", "nosuch"])
def test_an_address_that_needs_a_package_says_which(protocol: str) -> None:
    with pytest.raises(PluginMissingError, match=f"{protocol}://") as refused:
        pulled(f"{protocol}://bucket/log.ndjson")
    assert "fsspec" in refused.value.next_step


def test_a_place_that_cannot_be_reached_is_named_without_its_secrets() -> None:
    with pytest.raises((LogFormatError, PluginMissingError)) as refused:
        pulled("ftp://user:secret@127.0.0.1:1/log.ndjson")
    assert "secret" not in str(refused.value)
