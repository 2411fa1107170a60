"""What is written is what the files source reads, in every format."""

from dataclasses import replace

import pytest

from desireline.connectors.errors import LogFormatError
from desireline.connectors.logs.files import FileLogs, FileLogsConfig
from desireline.sidecar.simulating.log_files import write_log
from desireline.trainer.logs.frames import gather
from desireline.trainer.simulation.defects import DefectsConfig, plant
from desireline.trainer.simulation.users import SimulationConfig, simulate

QUERIES = [f"query {number}, with | and [ in it" for number in range(20)]
TRUTH = {query: {f"d|{number % 6}"} for number, query in enumerate(QUERIES)}
PAGE = [f"d|{number}" for number in range(6)]
CONFIG = SimulationConfig(
    searches=600, shown=6, clients=200, bots=1, searches_a_bot=20, carts=0.3, impressions="both"
)
KINDS = ("click", "add_to_cart", "purchase", "leave")


@pytest.fixture(scope="module")
def log():
    drawn = simulate(QUERIES, TRUTH, lambda queries: dict.fromkeys(queries, PAGE), CONFIG)
    defects = DefectsConfig(missing_positions=0.2, missing_query_ids=0.1, missing_shown=0.1)
    return plant(drawn, defects)[0]


def read(path):
    return list(FileLogs(FileLogsConfig(path=str(path), actions=KINDS)).pull())


def events(batches, kind):
    return [
        replace(event, attributes={}) if kind == "queries" else event
        for batch in batches
        for event in getattr(batch, kind)
    ]


@pytest.mark.parametrize(
    "name",
    ["log.ndjson", "log.ndjson.gz", "log.csv", "log.csv.gz", "log.tsv", "log.parquet"],
)
def test_every_event_comes_back_as_it_was(tmp_path, log, name):
    write_log(log.batches, tmp_path / name)
    found = read(tmp_path / name)
    for kind in ("queries", "impressions", "actions"):
        assert events(found, kind) == events(log.batches, kind)


def test_ubi_1_2_says_positions_as_objects_and_means_the_same(tmp_path, log):
    write_log(log.batches, tmp_path / "new.ndjson")
    write_log(log.batches, tmp_path / "old.ndjson", spec="1.2")
    assert b'"ordinal":{"index":1}' in (tmp_path / "old.ndjson").read_bytes()
    assert events(read(tmp_path / "old.ndjson"), "actions") == events(log.batches, "actions")


def test_the_same_log_is_the_same_bytes(tmp_path, log):
    for name in ("a.ndjson.gz", "b.ndjson.gz"):
        write_log(log.batches, tmp_path / name)
    first, second = ((tmp_path / name).read_bytes() for name in ("a.ndjson.gz", "b.ndjson.gz"))
    assert first == second


@pytest.mark.parametrize("name", ["log.ndjson", "log.csv.gz"])
@pytest.mark.parametrize("ending", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_log_that_is_not_finished_leaves_no_file(tmp_path, log, name, ending):
    def until(_):
        raise ending

    expected = LogFormatError if isinstance(ending, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_log(log.batches, tmp_path / name, written=until)
    assert list(tmp_path.iterdir()) == []


def test_records_of_a_log_that_repeats_itself_have_ids_of_their_own(tmp_path, log):
    twice, _ = plant(log, DefectsConfig(duplicates=0.3))
    write_log(twice.batches, tmp_path / "log.ndjson", in_parts=True)
    lines = (tmp_path / "log.ndjson").read_bytes().splitlines()[::2]
    assert len(set(lines)) == len(lines)
    assert gather(read(tmp_path / "log.ndjson")).defects["duplicate events"] > 100


def test_progress_is_told_batch_by_batch(tmp_path, log):
    told = []
    write_log(log.batches, tmp_path / "log.ndjson", written=told.append)
    assert told == list(range(1, len(log.batches) + 1))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("log.xlsx", "in which format"),
        ("log.parquet.gz", "in which format"),
        ("there.ndjson", "exists"),
    ],
)
def test_what_cannot_be_written_is_said_and_nothing_is_lost(tmp_path, log, name, said):
    (tmp_path / "there.ndjson").write_text("mine")
    with pytest.raises(LogFormatError, match=said):
        write_log(log.batches, tmp_path / name)
    assert (tmp_path / "there.ndjson").read_text() == "mine"
