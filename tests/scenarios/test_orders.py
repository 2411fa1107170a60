"""Every order of copy, application and cut-over ends as `orders.json` says.

Each order is one document's story: how our reads and writes and the application's stand to
each other. On the simulated engine every order is a run of its own; on a real node all are
told at once, one document each, gap by gap.
"""

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from simulated_target import CONFIG, ENCODERS
from stories import (
    NEW,
    NOW,
    OLD,
    SLOT,
    Order,
    Story,
    assert_each_is_told_once_and_holds_every_step,
    named,
    simulated,
    tell,
)

from desireline.connectors.documents import digest
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import Read
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.generations import Generation, State
from desireline.sidecar.lease import acquire
from desireline.sidecar.steering.steps import Step

ORDERS = json.loads((Path(__file__).parent / "orders.json").read_text())
STEPS = ("read", "encode", "write", "catch up", "cut over")


class InPlace(Story):
    """A field of the index is embedded again where it is."""

    steps: ClassVar = STEPS
    encoding = False

    def begin(self) -> None:
        self.engine.create_index(self.name, ["title", "description"])
        super().begin()

    def tell(self) -> None:
        """Copy, catch up and cut over, with the application in the gaps."""
        engine, index = self.engine, self.name
        lease = acquire(self.store, "jobs", ttl_s=600)
        generation = self.create()
        engine.prepare_slot(index, generation.vector_slot)
        fence = engine.fence(index)
        writer = self.writer(generation, lease, reached=self.reached)
        self.until("read")
        documents = [d for page in engine.scan(index, writer.read) for d in page]
        self.until("encode")
        self.encoding = True
        writer.write(writer.stale(documents))
        self.reached(Step.BATCH_ENCODED)  # where there was nothing to encode
        self.until("catch up")
        fence = catch_up(engine, index, fence, [writer]).fence
        self.until("cut over")
        ready = self.generations.change(generation, state=State.READY, caught_up=fence.to_json())
        self.cut_over(ready, lease)
        self.found_at_cut_over = self.found()
        self.until("")
        self.follow(lease)

    def reached(self, step: Step) -> None:
        """Stand between the encoding and the write."""
        if step is Step.BATCH_ENCODED and self.encoding:
            self.encoding = False
            self.until("write")

    def create(self) -> Generation:
        return self.generations.create(
            index=self.name,
            slot=SLOT,
            dimension=ENCODERS[0].dimension,
            similarity=ENCODERS[0].similarity,
            fingerprint=ENCODERS[0].fingerprint,
            created_at=NOW,
        )

    def found(self) -> dict[str, str]:
        """Say of every document whether its vector is that of its text."""
        read = Read(fields=(*CONFIG.template.fields, "level"), slots=(SLOT,), embeddings=True)
        self.last = {d.document_id: d for page in self.engine.scan(self.name, read) for d in page}
        return {f"d{n}": self._freshness(f"d{n}") for n in range(len(self.orders))}

    def _freshness(self, name: str) -> str:
        document = self.last.get(name)
        if document is None:
            return "gone"
        text = CONFIG.template.render(document.fields)
        stamp, vector = document.stamps.get(SLOT), document.embeddings.get(SLOT)
        if stamp is None or stamp.digest != digest(text) or vector is None:
            return "stale"
        right = ENCODERS[0].encode_documents([text])[0]
        return "fresh" if np.allclose(vector, right, atol=1e-6) else "of another text"

    def assert_ends_as_told(self) -> None:
        end = self.found()
        for number, order in enumerate(self.orders):
            name = f"d{number}"
            assert self.found_at_cut_over[name] == order["at_cut_over"], order["name"]
            assert end[name] == ("gone" if order["end"] is None else "fresh"), order["name"]
            if order["end"] is not None:
                text = {"old": OLD, "new": NEW}[order["end"]]["title"]
                assert self.last[name].fields["title"] == text, order["name"]


@named(ORDERS)
def test_an_order_ends_as_told_on_the_simulated_engine(order: Order) -> None:
    tell(InPlace(simulated(), "jobs", [order]))


def test_all_orders_end_as_told_side_by_side_on_the_simulated_engine() -> None:
    tell(InPlace(simulated(), "jobs", ORDERS))


@pytest.mark.opensearch
def test_all_orders_end_as_told_on_a_real_node(opensearch_url: str, index_prefix: str) -> None:
    engine = OpenSearchEngine(OpenSearchSettings(url=opensearch_url))
    tell(InPlace(engine, f"{index_prefix}jobs", ORDERS))
    engine.close()


def test_every_order_is_told_once_and_holds_every_step() -> None:
    assert_each_is_told_once_and_holds_every_step(ORDERS, STEPS)
