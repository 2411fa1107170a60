"""The proof's own way to read an index: every document once, in order, or an error (inv. 8, 27)."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from desireline.connectors.documents import Document, EmbeddingWrite, Outcome, Stamp
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.errors import ConnectorError, IndexMissingError
from desireline.connectors.opensearch_client import path


def ids(shop: Any, batch_size: int = 500) -> list[str]:
    read = dataclasses.replace(shop.all, batch_size=batch_size)
    return [d.document_id for batch in shop.engine.enumerate(shop.index, read) for d in batch]


def test_every_document_comes_once_in_order_of_its_id(shop: Any) -> None:
    keys = ["10", "9", "a", "A", "a-1", "é", "-x", "Zm9v", "1" * 40, *(f"d{n}" for n in range(23))]
    shop.engine.index_documents(
        shop.index, [Document(document_id=key, fields={"title": key}) for key in keys]
    )
    assert ids(shop, batch_size=4) == sorted(keys)
    assert ids(shop, batch_size=len(keys)) == sorted(keys)
    assert set(ids(shop)) == set(shop.read())


def test_it_is_as_of_the_moment_it_began(shop: Any) -> None:
    shop.put(**{f"d{number}": "old" for number in range(6)})
    pages = shop.engine.enumerate(shop.index, dataclasses.replace(shop.all, batch_size=2))
    first = next(pages)
    shop.put(**{f"d{number}": "new" for number in range(8)})
    shop.engine.delete_documents(shop.index, ["d5"])
    titles = [d.fields["title"] for d in first] + [d.fields["title"] for b in pages for d in b]
    assert titles == ["old"] * 6


def test_it_brings_what_a_scan_brings(shop: Any) -> None:
    shop.put(a="red", b="blue")
    assert shop.write(shop.read()["a"], shop.vector(1, 2)) is Outcome.WRITTEN
    found = {d.document_id: d for b in shop.engine.enumerate(shop.index, shop.all) for d in b}
    scanned = shop.read()
    assert found["b"] == scanned["b"]
    assert found["a"].version == scanned["a"].version
    assert found["a"].stamps == scanned["a"].stamps
    np.testing.assert_array_equal(
        found["a"].embeddings[shop.slot.name], scanned["a"].embeddings[shop.slot.name]
    )


def test_an_empty_index_has_none_and_a_missing_one_is_named(shop: Any) -> None:
    assert ids(shop) == []
    with pytest.raises(IndexMissingError):
        list(shop.engine.enumerate(f"{shop.index}-absent", shop.all))


def test_a_stamp_keeps_its_check(shop: Any) -> None:
    shop.put(a="a")
    document = shop.read()["a"]
    stamp = Stamp(generation=3, digest="e" * 64, fencing=2, check="AACgQAQAG_8H_UX_ffyLASADd_8")
    write = EmbeddingWrite(
        document_id="a", version=document.version, vector=shop.vector(1), stamp=stamp
    )
    (result,) = shop.engine.write_embeddings(shop.index, shop.slot.name, [write])
    assert result.outcome is Outcome.WRITTEN
    assert shop.read()["a"].stamps[shop.slot.name] == stamp


def test_a_fence_that_nothing_has_passed_is_answered_again(shop: Any) -> None:
    shop.put(a="a")
    fence = shop.engine.fence(shop.index)
    assert shop.engine.fence(shop.index, beyond=fence) == fence
    shop.put(b="b")
    later = shop.engine.fence(shop.index, beyond=fence)
    assert later != fence
    found = [d for b in shop.engine.changes(shop.index, fence, later, shop.all) for d in b]
    assert [document.document_id for document in found] == ["b"]


@pytest.mark.opensearch
def test_a_cluster_that_does_not_sort_by_id_is_read_in_its_shards_order(
    opensearch_url: str, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(shop.engine, OpenSearchEngine):
        pytest.skip("only a cluster")
    shop.put(**{f"d{number}": "x" for number in range(9)})
    monkeypatch.setattr("desireline.connectors.engines.opensearch_enumeration._MOST_SORTED", 5)
    assert sorted(ids(shop, batch_size=2)) == [f"d{number}" for number in range(9)]


@pytest.mark.opensearch
def test_a_snapshot_that_is_lost_meanwhile_is_an_error(shop: Any) -> None:
    if not isinstance(shop.engine, OpenSearchEngine):
        pytest.skip("only a cluster")
    shop.put(**{f"d{number}": "x" for number in range(9)})
    pages = shop.engine.enumerate(shop.index, dataclasses.replace(shop.all, batch_size=2))
    next(pages)
    # Dropping the index is what takes a snapshot away without touching those of other tests.
    shop.engine._cluster.call("DELETE", path(shop.index))
    with pytest.raises(ConnectorError):
        list(pages)
