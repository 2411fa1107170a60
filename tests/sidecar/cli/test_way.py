"""The way a user goes, command by command, on the embedded engine with a small real encoder."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from desireline.connectors.documents import Document
from desireline.connectors.engines.lancedb import LanceDbEngine
from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.config import load_config
from desireline.sidecar.wiring import open_sidecar

TITLES = ("the red shoe", "the garden", "a small house", "the river bank", "a dog", "the sea")


@pytest.fixture
def served(command_line, tiny_static: Path):
    """A target whose base encoder is live."""
    command_line.write(
        f"""
        [cluster]
        engine = "lancedb"

        [targets.things]
        index = "things"
        text = ["title"]
        model = "{tiny_static}"
        logs = {{ kind = "files", path = "clicks.ndjson" }}
        privacy = {{ mode = "local" }}

        [targets.things.swap]
        hold = "0s"
        """
    )
    engine = LanceDbEngine(Path("desireline-data/index").absolute())
    engine.create_index("things", ["title"])
    engine.index_documents(
        "things",
        [Document(document_id=f"d{n}", fields={"title": text}) for n, text in enumerate(TITLES)],
    )
    body = command_line.json("reindex", "things", "--yes")
    assert body["outcome"] == "went live", body
    return command_line


def test_a_user_goes_from_the_first_generation_to_a_tune_that_has_nothing_to_do(served) -> None:
    found = served.json("search", "things", "red shoe", "-k", "3")
    assert found["generation"] == 1
    assert len(found["hits"]) == 3
    assert found["hits"][0]["position"] == 1

    (generation,) = served.json("generations", "things")["generations"]
    assert generation["state"] == "live"
    assert generation["coverage"] == {"documents": 6, "stamped": 6}
    assert "6 of 6" in served("generations", "things").stdout

    Path("truth.tsv").write_text("red shoe\td0\nriver\td3\n")
    told = served.json(
        *("simulate", "things", "--truth", "truth.tsv"),
        *("--out", "clicks.ndjson", "--searches", "40", "--days", "10"),
    )
    assert told["simulated"] is True
    records = [json.loads(line) for line in Path("clicks.ndjson").read_text().splitlines()]
    assert {r["application"] for r in records if "index" not in r} == {"simulation"}

    health = served.json("logs", "things")
    assert health["searches"] > 0
    assert "Tier 4 of 4" in served("logs", "things").stdout

    result = served("tune", "things")
    assert result.exit_code == ExitCode.DONE
    assert result.stdout.splitlines()[-1].startswith("nothing to do: ")
    assert served.json("status")["targets"]["things"]["last_cycle"]["outcome"] == "nothing to do"


def test_a_cycle_keeps_the_health_of_the_log_for_the_page(served) -> None:
    Path("clicks.ndjson").write_text("")
    assert served("tune", "things").exit_code == ExitCode.DONE
    with closing(open_sidecar(load_config())) as sidecar:
        view = sidecar.log_report("things")
    assert view["report"]["tier"] == 0
    assert (view["reading"], view["failed"]) == (False, "")


def test_doctor_is_content_with_a_served_target(served) -> None:
    Path("clicks.ndjson").write_text("")
    body = served.json("doctor")
    states = {check["name"]: check["state"] for check in body["checks"]}
    assert body["counts"]["fail"] == 0
    assert states["things: generation"] == "ok"
    assert states["things: model"] == "ok"
    assert states["things: logs"] == "warn"


def test_a_reindex_by_another_model_can_be_taken_back(served, tiny_bert: Path) -> None:
    Path("desireline.toml").write_text(
        Path("desireline.toml").read_text().replace('hold = "0s"', 'hold = "12h"')
    )
    by_model = served("reindex", "things", "--model", str(tiny_bert), "--yes")
    assert by_model.exit_code == ExitCode.DONE
    assert "generation 2 is live" in by_model.stdout
    assert served.json("search", "things", "sea")["generation"] == 2
    held = served("reindex", "things", "--plan")
    assert held.exit_code == ExitCode.REFUSED
    assert "held for a revert" in held.stderr
    assert "generation 1 is live" in served("revert", "things").stdout
    assert served.json("search", "things", "sea")["generation"] == 1
