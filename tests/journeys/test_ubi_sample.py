"""The public UBI sample loads and joins, and its known defects are named."""

import gzip
from contextlib import closing
from pathlib import Path

import pytest

from desireline.connectors.logs.files import FileLogs, FileLogsConfig
from desireline.connectors.logs.ubi import UbiConfig, UbiLogs
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.ubi_indexes import UbiIndexes
from desireline.trainer.sessions import to_sessions

SAMPLE = Path(__file__).parents[1] / "data" / "esci_ubi" / "ubi_queries_events.ndjson.gz"


def assert_healthy(sessions) -> None:
    health = sessions.health
    assert (health.searches, health.clicks, health.tier) == (247, 116, 4)
    defects = dict(health.defects)
    assert defects["events of unknown queries"] == 120
    assert defects["duplicate events"] == 102
    assert defects["query without shown documents"] == 392
    assert defects["query without text"] == 6
    report = "\n".join(health.lines())
    assert "247 searches, 116 clicks" in report
    assert "defect: 120 events of unknown queries" in report
    clicked = sessions.frame.filter("clicked")
    assert clicked.height == 116
    assert clicked.get_column("position").drop_nulls().min() == 1


def test_the_sample_as_a_file():
    assert_healthy(to_sessions(FileLogs(FileLogsConfig(path=str(SAMPLE))).pull()))


@pytest.mark.opensearch
def test_the_sample_in_the_indexes_of_a_cluster(opensearch_url, index_prefix):
    settings = OpenSearchSettings(url=opensearch_url)
    names = {"queries": f"{index_prefix}ubi_queries", "events": f"{index_prefix}ubi_events"}
    lines = gzip.decompress(SAMPLE.read_bytes()).replace(
        b'"_index": "ubi_', f'"_index": "{index_prefix}ubi_'.encode()
    )
    with closing(UbiIndexes(settings, **names)) as indexes:
        indexes.create()
        indexes.load(lines)
    config = UbiConfig(
        queries_index=names["queries"],
        events_index=names["events"],
        window="3650d",
        actions=FileLogsConfig(path="").actions,
    )
    assert_healthy(to_sessions(UbiLogs.open(config, settings).pull()))
