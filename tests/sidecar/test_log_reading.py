"""The sidecar reads a click log, keeps the report, and tells it to whoever asks next."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.config import load_config
from desireline.sidecar.operations import Sidecar
from desireline.sidecar.wiring import open_sidecar

SAMPLE = Path(__file__).parents[1] / "data" / "esci_ubi" / "ubi_queries_events.ndjson.gz"
PATIENCE_S = 30.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "desireline.toml"
    path.write_text(
        """
        [cluster]
        engine = "lancedb"

        [targets.jobs]
        index = "occupations"
        text = ["title"]
        logs = { kind = "files", path = "clicks.ndjson.gz" }
        privacy = { mode = "local" }
        """
    )
    (tmp_path / "clicks.ndjson.gz").write_bytes(SAMPLE.read_bytes())
    return path


@pytest.fixture
def sidecar(config: Path) -> Iterator[Sidecar]:
    with closing(open_sidecar(load_config(config))) as opened:
        yield opened


def read_in_background(sidecar: Sidecar) -> dict:
    assert sidecar.start_log_reading("jobs") == "the click log of jobs is being read"
    for thread in threading.enumerate():
        if thread.name == "work on jobs":
            thread.join(PATIENCE_S)
    view = sidecar.log_report("jobs")
    assert not view["reading"], f"still reading after {PATIENCE_S} s"
    return view


def test_what_is_read_is_kept_for_another_process(sidecar, config) -> None:
    assert sidecar.log_report("jobs") == {"report": None, "reading": False, "failed": ""}
    report = sidecar.read_logs("jobs")
    assert (report["searches"], report["clicks"], report["tune_from_clicks"]) == (247, 116, 50)
    with closing(open_sidecar(load_config(config))) as another:
        assert another.log_report("jobs")["report"] == json.loads(json.dumps(report))


def test_a_log_is_read_in_the_background(sidecar) -> None:
    view = read_in_background(sidecar)
    assert view["report"]["searches"] == 247
    assert view["failed"] == ""


def test_a_reading_that_fails_is_told_and_keeps_the_report_before(sidecar, config) -> None:
    sidecar.read_logs("jobs")
    (config.parent / "clicks.ndjson.gz").write_bytes(b"no gzip at all")
    view = read_in_background(sidecar)
    assert "clicks.ndjson.gz" in view["failed"]
    assert view["report"]["searches"] == 247


def test_looking_at_a_log_for_the_doctor_keeps_no_report(sidecar) -> None:
    assert sidecar.pull_logs("jobs").searches == 247
    assert sidecar.log_report("jobs")["report"] is None


def test_whoever_erases_has_no_old_report_left(sidecar) -> None:
    assert "gold" in str(sidecar.read_logs("jobs"))
    sidecar.erase("jobs", "query", "gold", by="Ada")
    assert sidecar.log_report("jobs")["report"] is None
    assert "'gold'" not in str(sidecar.read_logs("jobs"))


def test_a_target_that_does_not_exist_has_no_log(sidecar) -> None:
    for ask in (sidecar.log_report, sidecar.start_log_reading, sidecar.read_logs):
        with pytest.raises(DesirelineError, match="no target is called"):
            ask("shoes")
