"""`desireline verify` on an embedded index that a real, tiny encoder was put live on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from desireline.connectors.documents import Document, EmbeddingWrite
from desireline.connectors.engines.lancedb import LanceDbEngine
from desireline.connectors.search_engine import Read
from desireline.sidecar.cli.exit_codes import ExitCode

SLOT = "embedding__a"
WORDS = ["red", "blue", "shoe", "garden", "nurse", "software", "engineer"]


@pytest.fixture
def engine(command_line: Any, exported_static: Path) -> LanceDbEngine:
    """An index of twenty-one documents with generation 1 live in slot a."""
    command_line.write(
        f"""
[cluster]
engine = "lancedb"

[targets.jobs]
index = "occupations"
text = ["title"]
model = "{exported_static}"
"""
    )
    engine = LanceDbEngine(Path("desireline-data/index").absolute())
    engine.create_index("occupations", ["title"])
    engine.index_documents(
        "occupations",
        [
            Document(document_id=f"d{n}", fields={"title": f"{WORDS[n % 7]} {WORDS[n // 7]}"})
            for n in range(21)
        ],
    )
    done = command_line("reindex", "jobs", "--yes")
    assert done.exit_code == ExitCode.DONE, done.output
    return engine


def spoil(engine: LanceDbEngine, key: str) -> None:
    read = Read(slots=(SLOT,), embeddings=True)
    found = {d.document_id: d for b in engine.scan("occupations", read) for d in b}
    document = found[key]
    assert document.version is not None
    write = EmbeddingWrite(
        document_id=key,
        version=document.version,
        vector=np.roll(document.embeddings[SLOT], 3),
        stamp=document.stamps[SLOT],
    )
    (result,) = engine.write_embeddings("occupations", SLOT, [write])
    assert result.outcome == "written"


def test_a_sound_slot_is_clean_and_a_spoilt_document_is_named(
    command_line: Any, engine: LanceDbEngine
) -> None:
    result = command_line("verify", "jobs")
    assert result.exit_code == ExitCode.DONE, result.output
    assert "21 of 21 carry generation 1; 21 were encoded again" in result.stdout
    spoil(engine, "d4")
    result = command_line("verify", "jobs", "--slot", "a", "--sample", "0")
    assert result.exit_code == ExitCode.FAILED
    assert "document 'd4': not the vector that was written" in result.stdout
    told = command_line.json("verify", "jobs")
    assert told["differences"] == {"not the vector that was written": 1}
    assert told["clean"] is False


def test_it_changes_nothing(command_line: Any, engine: LanceDbEngine) -> None:
    before = engine.fence("occupations")
    command_line("verify", "jobs")
    command_line("verify", "jobs", "--index", "occupations", "--vector", SLOT)
    assert engine.fence("occupations") == before


def test_any_index_is_told_of_which_encoder_it_is(command_line: Any, engine: LanceDbEngine) -> None:
    asked = ("verify", "jobs", "--index", "occupations", "--vector", SLOT, "--text", "title")
    assert command_line(*asked).exit_code == ExitCode.DONE
    assert json.loads(command_line(*asked, "--json").stdout)["verdict"] == "one encoder"
    spoil(engine, "d4")
    spoil(engine, "d5")
    told = json.loads(command_line(*asked, "--json").stdout)
    assert (told["verdict"], told["of_none"]) == ("mixed encoders", 2)
    assert told["examples"] == ["d4", "d5"]
    assert command_line(*asked).exit_code == ExitCode.FAILED


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--slot", "c"], ExitCode.FAILED, "was ever built in a slot 'c'"),
        (["--vector", "emb"], ExitCode.USAGE, "--index and --vector go together"),
        (["--model", "x"], ExitCode.USAGE, "--text and --model need them"),
        (["--index", "nowhere", "--vector", "emb"], ExitCode.FAILED, "nowhere"),
        (["--index", "occupations", "--vector", "emb"], ExitCode.FAILED, "no vector field 'emb'"),
    ],
)
def test_what_cannot_be_looked_at_is_said(
    command_line: Any, engine: LanceDbEngine, arguments: list[str], code: ExitCode, said: str
) -> None:
    result = command_line("verify", "jobs", *arguments)
    assert result.exit_code == code, result.output
    assert said in " ".join(result.output.split())
