"""The embedded engine's own: restarts, processes, compaction, and errors in sentences."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest

from desireline.connectors.documents import Document, EmbeddingWrite, Stamp
from desireline.connectors.engines.lance_layout import source_row
from desireline.connectors.engines.lance_tables import LanceTables, update_rows
from desireline.connectors.engines.lancedb import LanceDbEngine
from desireline.connectors.errors import (
    ConnectorError,
    IndexMissingError,
    MappingConflictError,
    WriteBlockedError,
)
from desireline.connectors.search_engine import Fence, Read, Slot

SLOT = Slot(name="embedding__a", dimension=2)
READ = Read(fields=("title",), slots=(SLOT.name,), embeddings=True)
PRELUDE = """
import sys
from desireline.connectors.documents import Document
from desireline.connectors.engines.lancedb import LanceDbEngine
engine, name = LanceDbEngine(sys.argv[1]), sys.argv[2]
def put(key, title):
    engine.index_documents("shop", [Document(document_id=key, fields={"title": title})])
"""


def child(folder: Path, name: str, code: str) -> subprocess.Popen[str]:
    """Start another process that plays the application on the same folder."""
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(code), str(folder), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def opened(folder: Path) -> LanceDbEngine:
    engine = LanceDbEngine(folder)
    engine.create_index("shop", ["title"])
    engine.prepare_slot("shop", SLOT)
    return engine


def put(engine: LanceDbEngine, **titles: str) -> None:
    documents = [Document(document_id=key, fields={"title": text}) for key, text in titles.items()]
    engine.index_documents("shop", documents)


def read(engine: LanceDbEngine) -> dict[str, Document]:
    return {d.document_id: d for batch in engine.scan("shop", READ) for d in batch}


def embed_all(engine: LanceDbEngine) -> None:
    writes = [
        EmbeddingWrite(
            document_id=document.document_id,
            version=document.version,
            vector=np.array([1, 2], np.float32),
            stamp=Stamp(generation=1, digest="d" * 64, fencing=1),
        )
        for document in read(engine).values()
        if document.version is not None
    ]
    engine.write_embeddings("shop", SLOT.name, writes)


def test_everything_survives_a_restart_and_so_does_a_fence(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    put(engine, a="red shoe", b="hat")
    embed_all(engine)
    before, fence = read(engine), engine.fence("shop")
    put(engine, b="new hat")
    engine.close()
    again = LanceDbEngine(tmp_path)
    assert again.describe("shop").slots == {SLOT.name: SLOT}
    assert read(again)["a"].version == before["a"].version
    changes = again.changes("shop", fence, again.fence("shop"), READ)
    assert [document.document_id for batch in changes for document in batch] == ["b"]
    assert [hit.document_id for hit in again.search_text("shop", [("title", 1)], "shoe", 5)] == [
        "a"
    ]


def test_two_processes_and_a_backfill_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    code = """
    for number in range(25):
        put(f"{name}{number % 5}", str(number))
    """
    children = [child(tmp_path, name, code) for name in ("x", "y")]
    while any(process.poll() is None for process in children):
        embed_all(engine)
    assert [process.wait() for process in children] == [0, 0]
    titles = {key: document.fields["title"] for key, document in read(engine).items()}
    assert titles == {f"{name}{n}": str(20 + n) for name in "xy" for n in range(5)}


def test_a_process_killed_while_writing_leaves_a_whole_index_and_no_lock(tmp_path: Path) -> None:
    opened(tmp_path).close()
    code = """
    number = 0
    while True:
        put(f"d{number}", "x")
        print(number, flush=True)
        number += 1
    """
    process = child(tmp_path, "x", code)
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(5)]
    process.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout.read().split()]
    process.wait()
    engine = LanceDbEngine(tmp_path)
    put(engine, after="x")
    assert {f"d{number}" for number in acknowledged} | {"after"} <= read(engine).keys()


def test_a_commit_that_comes_after_its_lock_was_freed_leaves_newer_rows_alone(
    tmp_path: Path,
) -> None:
    """As when Ctrl-C ends a write whose commit LanceDB finishes in its own thread."""
    engine = opened(tmp_path)
    put(engine, a="old", b="old")
    table, layout = LanceTables(tmp_path).open("shop")
    seq_no = table.version + 1
    put(engine, a="new")
    for key in ("a", "b"):
        update_rows(table, source_row(layout, key, {"title": "late"}, seq_no), seq_no)
    assert {key: d.fields["title"] for key, d in read(engine).items()} == {"a": "new", "b": "late"}


def test_hundreds_of_small_writes_are_compacted_and_none_is_lost(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    put(engine, **{f"d{number}": "old" for number in range(10)})
    embed_all(engine)
    fence = engine.fence("shop")
    for number in range(120):
        engine.update_fields("shop", f"d{number % 10}", {"title": f"word{number}"})
    fragments = lancedb.connect(tmp_path).open_table("shop").stats()["fragment_stats"]
    assert fragments["num_fragments"] < 40
    found = read(engine)
    assert {d.fields["title"] for d in found.values()} == {f"word{n}" for n in range(110, 120)}
    assert all(document.stamps and document.embeddings for document in found.values())
    changes = engine.changes("shop", fence, engine.fence("shop"), READ)
    assert sum(len(batch) for batch in changes) == 10
    hits = engine.search_text("shop", [("title", 1)], "word115 word3", 5)
    assert [hit.document_id for hit in hits] == ["d5"]


def test_more_documents_than_fit_one_filter_are_fetched_written_and_deleted(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    put(engine, **{f"d{number}": "x" for number in range(2_500)})
    embed_all(engine)
    assert engine.coverage("shop", SLOT.name, 1).complete
    found = read(engine)
    assert len(engine.fetch("shop", list(found.values()), READ)) == 2_500
    engine.delete_documents("shop", [key for key in found if key != "d7"])
    assert read(engine).keys() == {"d7"}


def test_reads_go_on_while_a_writer_writes_and_compacts(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    put(engine, **{f"d{number}": "shoe" for number in range(50)})
    embed_all(engine)
    code = """
    for number in range(80):
        engine.update_fields("shop", f"d{number % 50}", {"title": f"shoe {number}"})
    """
    process = child(tmp_path, "x", code)
    searches = 0
    while process.poll() is None:
        vector = np.array([1, 2], np.float32)
        assert len(engine.search_vectors("shop", SLOT.name, vector, 50, generation=1)) == 50
        assert len(engine.search_text("shop", [("title", 1)], "shoe", 60)) == 50
        searches += 1
    assert process.returncode == 0
    assert searches > 0


def test_a_fence_of_another_index_of_the_same_name_is_not_mistaken(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    put(engine, a="x")
    old = engine.fence("shop")
    engine.drop_index("shop")
    engine.create_index("shop", ["title"])
    assert old.positions.keys().isdisjoint(engine.fence("shop").positions)
    put(engine, b="y")
    changes = engine.changes("shop", old, engine.fence("shop"), READ)
    assert [document.document_id for batch in changes for document in batch] == ["b"]
    assert list(engine.changes("shop", engine.fence("shop"), Fence(positions={}), READ)) == []


def test_a_table_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    table = lancedb.connect(tmp_path).create_table("theirs", pa.table({"x": [1, 2]}))
    engine = LanceDbEngine(tmp_path)
    with pytest.raises(IndexMissingError, match="theirs"):
        engine.describe("theirs")
    with pytest.raises(IndexMissingError, match="theirs"):
        engine.index_documents("theirs", [Document(document_id="a", fields={})])
    assert table.count_rows() == 2


def test_names_that_cannot_be_are_refused_in_a_sentence(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    with pytest.raises(MappingConflictError, match=r"'a\.b'"):
        engine.prepare_slot("shop", Slot(name="a.b", dimension=2))
    with pytest.raises(ConnectorError, match="no/slash"):
        engine.create_index("no/slash", [])


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConnectorError, match="file"):
        LanceDbEngine(tmp_path / "file" / "index")


def test_a_read_only_folder_blocks_writes_and_not_reads(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    put(engine, a="x")
    if not _became_read_only(tmp_path):
        pytest.skip("this user may write anywhere")
    try:
        with pytest.raises(WriteBlockedError):
            put(engine, b="y")
        assert read(engine).keys() == {"a"}
    finally:
        _set_mode(tmp_path, 0o755)


def _became_read_only(folder: Path) -> bool:
    _set_mode(folder, 0o555)
    try:
        (folder / "probe").touch()
    except OSError:
        return True
    (folder / "probe").unlink()
    _set_mode(folder, 0o755)
    return False


def _set_mode(folder: Path, mode: int) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(mode)


@pytest.mark.parametrize("absent", ["lancedb", "pyarrow"])
def test_a_missing_extra_is_named(absent: str) -> None:
    code = f"""
    import sys
    sys.modules[{absent!r}] = None
    from desireline.connectors.errors import PluginMissingError
    from desireline.connectors.plugins import load
    try:
        load("engines", "lancedb")
    except PluginMissingError as error:
        print(error.next_step)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == "pip install 'desireline[lancedb]'\n"
