"""Every order of copy, application and cut-over ends as `orders.json` says.

Each order is one document's story: how our reads and writes and the application's stand to
each other. On the simulated engine every order is a run of its own; on a real node all are
told at once, one document each, gap by gap.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated_client import Network, engine_over
from simulated_node import SimulatedNode
from simulated_schedule import Schedule
from simulated_target import CACHE, CONFIG, ENCODERS

from desireline.connectors.documents import Document, digest
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import Read
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.cutover import cut_over
from desireline.sidecar.embedding_cache import CachedEncoder
from desireline.sidecar.embedding_writer import EmbeddingWriter
from desireline.sidecar.follower import Follower
from desireline.sidecar.generations import Generation, Generations, State
from desireline.sidecar.lease import Lease, acquire
from desireline.sidecar.steps import Step

ORDERS = json.loads((Path(__file__).parent / "orders.json").read_text())
STEPS = ("read", "encode", "write", "catch up", "cut over")
SLOT = "embedding__a"
OLD, NEW = {"title": "old text", "level": 1}, {"title": "new text", "level": 2}
NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


@dataclass
class Story:
    """Several documents, each with its order, told gap by gap."""

    engine: OpenSearchEngine
    index: str
    orders: Sequence[dict[str, Any]]
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.told: dict[int, int] = dict.fromkeys(range(len(self.orders)), 0)
        self.generations = Generations(self.store, "jobs")
        self.encoding = False

    def begin(self) -> None:
        self.engine.create_index(self.index, ["title", "description"])
        there = [n for n, order in enumerate(self.orders) if _first(order) != "create"]
        self.engine.index_documents(
            self.index, [Document(document_id=f"d{n}", fields=OLD) for n in there]
        )

    def until(self, step: str) -> None:
        """Be the application up to where this step stands in each order; empty: to the end."""
        for number, order in enumerate(self.orders):
            while self.told[number] < len(order["order"]):
                event = order["order"][self.told[number]]
                if event in STEPS:
                    break
                self._application(f"d{number}", event)
                self.told[number] += 1
            if step:
                assert order["order"][self.told[number]] == step
                self.told[number] += 1

    def _application(self, name: str, event: str) -> None:
        if event in {"replace", "create"}:
            self.engine.index_documents(self.index, [Document(document_id=name, fields=NEW)])
        elif event == "delete":
            self.engine.delete_documents(self.index, [name])
        else:
            change = {"level": 3} if event == "update another field" else {"title": NEW["title"]}
            self.engine.update_fields(self.index, name, change)

    def tell(self) -> None:
        """Copy, catch up and cut over, with the application in the gaps."""
        engine, index = self.engine, self.index
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
        cut_over(
            self.generations,
            ready,
            lease=lease,
            hold=timedelta(hours=1),
            reason="a story",
            clock=lambda: NOW,
        )
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
            index=self.index,
            slot=SLOT,
            dimension=ENCODERS[0].dimension,
            similarity=ENCODERS[0].similarity,
            fingerprint=ENCODERS[0].fingerprint,
            created_at=NOW,
        )

    def writer(
        self,
        generation: Generation,
        lease: Lease,
        reached: Callable[[Step], None] = lambda _: None,
    ) -> EmbeddingWriter:
        return EmbeddingWriter(
            engine=self.engine,
            store=self.store,
            generation=generation,
            encoder=CachedEncoder(ENCODERS[0], CACHE),
            template=CONFIG.template,
            lease=lease,
            reached=reached,
        )

    def follow(self, lease: Lease) -> None:
        Follower(
            engine=self.engine,
            generations=self.generations,
            writer_for=self.writer,
            clock=lambda: NOW,
            caught_up=lambda *_: None,
        ).follow_once(lease)

    def found(self) -> dict[str, str]:
        """Say of every document whether its vector is that of its text."""
        read = Read(fields=(*CONFIG.template.fields, "level"), slots=(SLOT,), embeddings=True)
        self.last = {d.document_id: d for page in self.engine.scan(self.index, read) for d in page}
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


def _first(order: dict[str, Any]) -> str:
    return str(next(event for event in order["order"] if event not in STEPS))


def tell(engine: OpenSearchEngine, index: str, orders: Sequence[dict[str, Any]]) -> None:
    story = Story(engine, index, orders)
    story.begin()
    story.tell()
    story.assert_ends_as_told()


def simulated() -> OpenSearchEngine:
    rng = random.Random(0)
    return engine_over(Network(SimulatedNode(rng=rng), Schedule(rng), rng), "here")


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order["name"].replace(" ", "-"))
def test_an_order_ends_as_told_on_the_simulated_engine(order: dict[str, Any]) -> None:
    tell(simulated(), "jobs", [order])


def test_all_orders_end_as_told_side_by_side_on_the_simulated_engine() -> None:
    tell(simulated(), "jobs", ORDERS)


@pytest.mark.opensearch
def test_all_orders_end_as_told_on_a_real_node(opensearch_url: str, index_prefix: str) -> None:
    engine = OpenSearchEngine(OpenSearchSettings(url=opensearch_url))
    tell(engine, f"{index_prefix}jobs", ORDERS)
    engine.close()


def test_every_order_is_told_once_and_holds_every_step() -> None:
    assert len({order["name"] for order in ORDERS}) == len(ORDERS)
    assert len({tuple(order["order"]) for order in ORDERS}) == len(ORDERS)
    for order in ORDERS:
        assert [event for event in order["order"] if event in STEPS] == list(STEPS)
