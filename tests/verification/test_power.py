"""Whatever is planted, the proof finds, names and locates it; and nothing where all is well."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desireline.connectors.engines.lancedb import LanceDbEngine
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.opensearch_client import OpenSearchSettings, path
from desireline.sidecar.proof.reencoding import Sample
from desireline.sidecar.verify import inspect

_SPEC = importlib.util.spec_from_file_location("power", Path(__file__).with_name("power.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
power: Any = importlib.util.module_from_spec(_SPEC)
sys.modules["power"] = power
_SPEC.loader.exec_module(power)

SEEDS = range(5)
#: What the engines' own guards let in.
WRITABLE = [name for name in power.planted.CORRUPTIONS if name not in power.planted.FORCED]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return power.build(tmp_path_factory.mktemp("cache"))


def test_at_least_ten_kinds_are_planted() -> None:
    assert len(power.names()) >= 20


@pytest.mark.parametrize("name", power.names())
def test_every_planted_corruption_is_found(built: Any, name: str) -> None:
    assert [seed for seed in SEEDS if not power.found(built, name, seed)] == []


def test_nothing_is_found_where_nothing_was_planted(built: Any) -> None:
    sample = Sample(encoder=built.encoder, size=power.DOCUMENTS)
    proof = inspect(built.engine, built.store, built.generation, power.TEMPLATE, sample=sample)
    assert proof.clean, proof.sentence
    assert proof.reencoded.documents == power.DOCUMENTS
    assert proof.documents == proof.stamped == power.DOCUMENTS
    assert proof.without_check == 0


@pytest.fixture
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A finished generation on a real engine, and what spoils a document there."""
    if request.param == "lancedb":
        yield power.build(tmp_path / "cache", LanceDbEngine(tmp_path / "lance")), None
        return
    engine = OpenSearchEngine(OpenSearchSettings(url=request.getfixturevalue("opensearch_url")))
    index = request.getfixturevalue("index_prefix") + "products"

    def unstamp(engine: Any, key: str, _vector: Any) -> None:
        body = {"doc": {f"{power.SLOT}_stamp": None}}
        engine._cluster.call("POST", path(index, "_update", key), body=body)

    yield power.build(tmp_path / "cache", engine, index), unstamp
    engine.close()


@pytest.mark.parametrize("real", ["lancedb"], indirect=True)
@pytest.mark.parametrize("name", [n for n in WRITABLE if n != "vector without a stamp"])
def test_it_is_found_in_an_embedded_index(real: Any, name: str) -> None:
    built, force = real
    assert power.spoil_and_prove(built, built.engine, name, 1, force)


@pytest.mark.opensearch
@pytest.mark.parametrize("real", ["opensearch"], indirect=True)
@pytest.mark.parametrize("name", WRITABLE)
def test_it_is_found_on_a_real_cluster(real: Any, name: str) -> None:
    built, force = real
    assert power.spoil_and_prove(built, built.engine, name, 2, force)
