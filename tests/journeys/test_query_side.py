"""A query encoder goes live over the vectors that are there: searches change, documents do not."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings
from desireline.connectors.search_engine import Read
from desireline.sidecar.answering import answering
from desireline.sidecar.reports.cycle_report import Outcome
from desireline.trainer.forms.export import export_onnx
from desireline.trainer.models.manifest import Provenance

TARGET = "jobs"
DOCUMENTS = 200


def tuned_queries(static_model: Path, folder: Path, *, noise: float) -> Path:
    """Return the static encoder with its words moved a little: a query encoder of its space."""
    shutil.copytree(static_model, folder)
    (weights,) = folder.rglob("model.safetensors")
    tensors = load_file(weights)
    rng = np.random.default_rng(5)
    for name, table in tensors.items():
        moved = table + noise * table.std() * rng.standard_normal(table.shape)
        tensors[name] = moved.astype(table.dtype)
    save_file(tensors, weights)
    export_onnx(folder)
    return folder


class Shop:
    """A product on a real node, of the first documents, and a server before it."""

    def __init__(self, product: Any, url: str, silent: Any) -> None:
        self.product, self.silent = product, silent
        self.parts = product.parts
        self.cluster = Cluster(OpenSearchSettings(url=url))
        self.parts.engine.create_index(product.index, ["title", "description"])
        self.parts.engine.index_documents(product.index, product.occupations.documents[:DOCUMENTS])
        product.sidecar.reindex(TARGET, None, silent)

    @property
    def live(self) -> Any:
        return self.parts.generations.live()

    def registered(self, folder: Path) -> str:
        """Add a query-side model over the documents of the live encoder."""
        live = self.parts.registry.get(self.live.fingerprint)
        manifest = self.parts.registry.add(
            folder,
            template=live.text_template,
            similarity=live.settings.similarity,
            provenance=Provenance(
                base_model="static", parent=live.fingerprint, mode="query", cycle_id="cycle-1"
            ),
            documents=live.space,
        )
        return str(manifest.fingerprint)

    def written(self) -> dict[str, int]:
        """Count the writes that each primary of the index has ever taken."""
        stats = self.cluster.call("GET", f"/{self.product.index}/_stats?level=shards")
        (index,) = stats["indices"].values()
        return {
            number: copy["seq_no"]["max_seq_no"]
            for number, copies in index["shards"].items()
            for copy in copies
            if copy["routing"]["primary"]
        }

    def versions(self) -> dict[str, Any]:
        pages = self.parts.engine.scan(self.product.index, Read())
        return {d.document_id: d.version for page in pages for d in page}


@pytest.fixture
def shop(make_product, opensearch_url, index_prefix, silent) -> Iterator[Shop]:
    product = make_product(url=opensearch_url, index=f"{index_prefix}jobs")
    shop = Shop(product, opensearch_url, silent)
    yield shop
    shop.cluster.close()


def asked(server: httpx.Client, index: str, text: str) -> tuple[str, list[str]]:
    """Send a search as an application does; which generation answered, and what."""
    body = {"query": {"neural": {"embedding": {"query_text": text, "k": 20}}}, "size": 20}
    answer = server.post(f"/{index}/_search", json=body).raise_for_status()
    hits = [hit["_id"] for hit in answer.json()["hits"]["hits"]]
    return answer.headers["X-Desireline-Generation"], hits


def expected(shop: Shop, text: str) -> list[str]:
    """Rank every document by the live encoder, exactly."""
    encoder = shop.parts.encoders.get(shop.live.fingerprint)
    template = shop.parts.registry.get(shop.live.fingerprint).text_template
    documents = shop.product.occupations.documents[:DOCUMENTS]
    texts = [template.render(document.fields) for document in documents]
    scores = encoder.encode_documents(texts) @ encoder.encode_queries([text])[0]
    return [documents[row].document_id for row in np.argsort(-scores)[:20]]


@pytest.mark.opensearch
def test_the_ranking_changes_through_the_proxy_and_not_one_document_is_written(
    shop, static_model, tmp_path
) -> None:
    sidecar, index, text = shop.product.sidecar, shop.product.index, "someone who mends machines"
    tuned = shop.registered(tuned_queries(static_model, tmp_path / "tuned", noise=2.0))
    writes, versions = shop.written(), shop.versions()
    key = sidecar.api_keys().create("application", ["search"])
    with (
        answering(sidecar, shop.product.config.server, port=0) as running,
        httpx.Client(
            base_url=running.url, timeout=60, headers={"Authorization": f"Bearer {key}"}
        ) as server,
    ):
        before = asked(server, index, text)
        assert before == ("1", expected(shop, text))
        planned = sidecar.plan(TARGET, tuned)
        assert (planned.way, planned.refusals) == ("query", ())
        report = sidecar.reindex(TARGET, tuned, shop.silent)
        assert report.outcome is Outcome.WENT_LIVE
        sidecar.refresh()
        after = asked(server, index, text)
        assert after == ("2", expected(shop, text))
        assert after[1] != before[1]
        assert (shop.written(), shop.versions()) == (writes, versions)
        sidecar.revert(TARGET)
        sidecar.refresh()
        assert asked(server, index, text) == before
    assert (shop.written(), shop.versions()) == (writes, versions)


@pytest.mark.opensearch
def test_writes_under_a_query_encoder_are_found_and_a_new_model_goes_live_after_it(
    shop, static_model, tmp_path
) -> None:
    sidecar, index = shop.product.sidecar, shop.product.index
    first = shop.live.fingerprint
    tuned = shop.registered(tuned_queries(static_model, tmp_path / "tuned", noise=0.3))
    sidecar.reindex(TARGET, tuned, shop.silent)
    newest = shop.product.occupations.documents[DOCUMENTS]
    shop.parts.engine.index_documents(index, [newest])
    waiting = sidecar.verify(TARGET, shop.silent, slot=None, sample=20)
    assert (waiting.stamped, waiting.waiting, dict(waiting.kinds)) == (DOCUMENTS, 1, {})
    assert sidecar.follow_once(TARGET) == 1
    sidecar.reindex(TARGET, first, shop.silent)
    assert (shop.live.number, shop.live.stamp_number) == (3, 1)
    counted = shop.parts.engine.coverage(index, shop.live.slot, 1)
    assert (counted.documents, counted.stamped) == (DOCUMENTS + 1, DOCUMENTS + 1)
    sidecar.reindex(TARGET, tuned, shop.silent)
    whole = shop.parts.registry.add(
        tuned_queries(static_model, tmp_path / "whole", noise=0.5),
        template=shop.parts.registry.get(first).text_template,
        similarity="cosine",
        provenance=Provenance(base_model="static", parent=first),
    ).fingerprint
    sidecar.reindex(TARGET, whole, shop.silent)
    assert (shop.live.number, shop.live.slot) == (5, "embedding__b")
    assert shop.live.stamp_number == 5
    sidecar.revert(TARGET)
    assert (shop.live.fingerprint, shop.live.stamp_number) == (tuned, 1)
    found = sidecar.verify(TARGET, shop.silent, slot=None, sample=20)
    assert (found.stamped, found.waiting, dict(found.kinds)) == (DOCUMENTS + 1, 0, {})
    _, hits = sidecar.search(TARGET, newest.fields["title"], 3)
    assert newest.document_id in [hit.document_id for hit in hits]
