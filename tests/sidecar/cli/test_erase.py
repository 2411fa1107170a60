"""`desireline erase` in a terminal and for programs."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from desireline.sidecar.cli.exit_codes import ExitCode

CONFIG = """
[targets.shop]
index = "shop"
text = ["title"]
logs = { kind = "files", path = "clicks.ndjson" }

[targets.blog]
index = "blog"
text = ["title"]
logs = { kind = "files", path = "clicks.ndjson" }
"""


@pytest.fixture
def pulled(command_line):
    """Two targets that pulled a search of ann's and one of bob's."""
    command_line.write(CONFIG)
    at = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    Path("clicks.ndjson").write_text(
        "".join(
            json.dumps(
                {
                    "type": "query",
                    "query_id": who,
                    "text": f"{who} street",
                    "client": who,
                    "at": at,
                    "shown": ["a"],
                }
            )
            + "\n"
            for who in ("ann-4711", "bob-4712")
        )
    )
    for target in ("shop", "blog"):
        assert command_line("logs", target).exit_code == ExitCode.DONE
    return command_line


def found(body) -> dict[str, int]:
    return {report["target"]: report["found"] for report in body["erased"]}


def test_a_client_is_erased_from_every_target_and_again_nothing_is_found(pulled):
    assert found(pulled.json("erase", "--client-id", "ann-4711")) == {"shop": 1, "blog": 1}
    assert found(pulled.json("erase", "--client-id", "ann-4711")) == {"shop": 0, "blog": 0}


def test_a_query_is_erased_from_one_target_and_a_person_reads_the_proof(pulled):
    said = pulled("erase", "shop", "--query", "BOB-4712 street")
    assert said.exit_code == ExitCode.DONE
    assert "shop: the query was found 1 times, and 0 times after that" in said.stdout
    assert "  event archive: 1 found, 0 left" in said.stdout
    assert "bob" not in (said.stdout + said.stderr).lower()
    assert found(pulled.json("erase", "--query", "bob-4712 street")) == {"shop": 0, "blog": 1}


def test_what_is_erased_may_come_from_standard_input(pulled):
    said = pulled("erase", "shop", "--client-id", "-", "--json", stdin="ann-4711\n")
    assert found(json.loads(said.stdout)) == {"shop": 1}


@pytest.mark.parametrize(
    "wrong", [[], ["--client-id", "a", "--query", "b"], ["--client-id", " "], ["--query", "-"]]
)
def test_nothing_or_too_much_named_is_wrong_usage(pulled, wrong):
    said = pulled("erase", *wrong)
    assert said.exit_code == ExitCode.USAGE
    assert "nothing was erased" in said.stderr


def test_an_unknown_target_is_wrong_usage(pulled):
    assert pulled("erase", "nowhere", "--client-id", "a").exit_code == ExitCode.USAGE
