"""One document's fate between our steps and the application's, told gap by gap.

A story holds several documents, each with its order of events. What we do, and how it must end, is
for each kind of story to say.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from simulated_client import Network, engine_over
from simulated_node import SimulatedNode
from simulated_schedule import Schedule
from simulated_target import CACHE, CONFIG, ENCODERS

from desireline.connectors.documents import Document
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.cutover import cut_over
from desireline.sidecar.follower import Follower
from desireline.sidecar.generations import Generation, Generations
from desireline.sidecar.lease import Lease
from desireline.sidecar.steering.steps import Step
from desireline.sidecar.writing.embedding_cache import CachedEncoder
from desireline.sidecar.writing.embedding_writer import EmbeddingWriter

SLOT = "embedding__a"
OLD, NEW = {"title": "old text", "level": 1}, {"title": "new text", "level": 2}
NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)

Order = dict[str, Any]
"""One document's events, ours and the application's, and how it ends."""


@dataclass
class Story:
    """Several documents, each with its order."""

    engine: OpenSearchEngine
    #: What the application writes to: an index, or an alias.
    name: str
    orders: Sequence[Order]
    store: MemoryStore = field(default_factory=MemoryStore)

    #: Events that are ours, in their order.
    steps: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        self.told: dict[int, int] = dict.fromkeys(range(len(self.orders)), 0)
        self.generations = Generations(self.store, "jobs")

    def begin(self) -> None:
        """Put the documents there that the application does not create on the way."""
        first = [next(e for e in order["order"] if e not in self.steps) for order in self.orders]
        there = [number for number, event in enumerate(first) if event != "create"]
        self.engine.index_documents(
            self.name, [Document(document_id=f"d{n}", fields=OLD) for n in there]
        )

    def until(self, step: str) -> None:
        """Be the application up to where this step stands in each order; empty: to the end."""
        for number, order in enumerate(self.orders):
            while self.told[number] < len(order["order"]):
                event = order["order"][self.told[number]]
                if event in self.steps:
                    break
                self.happens(f"d{number}", event)
                self.told[number] += 1
            if step:
                assert order["order"][self.told[number]] == step
                self.told[number] += 1

    def happens(self, document_id: str, event: str) -> None:
        """Do what the application does to one document."""
        if event in {"replace", "create"}:
            self.engine.index_documents(self.name, [Document(document_id=document_id, fields=NEW)])
        elif event == "delete":
            self.engine.delete_documents(self.name, [document_id])
        else:
            change = {"level": 3} if event == "update another field" else {"title": NEW["title"]}
            self.engine.update_fields(self.name, document_id, change)

    def cut_over(self, ready: Generation, lease: Lease) -> None:
        """Put a generation live."""
        cut_over(
            self.generations,
            ready,
            lease=lease,
            hold=timedelta(hours=1),
            reason="a story",
            clock=lambda: NOW,
        )

    def writer(
        self,
        generation: Generation,
        lease: Lease,
        reached: Callable[[Step], None] = lambda _: None,
    ) -> EmbeddingWriter:
        """Return what embeds documents for a generation."""
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
        """Embed what the application changed since the swap."""
        Follower(
            engine=self.engine,
            generations=self.generations,
            writer_for=self.writer,
            clock=lambda: NOW,
            caught_up=lambda *_: None,
        ).follow_once(lease)

    def tell(self) -> None:
        """Do our steps, with the application in the gaps."""
        raise NotImplementedError

    def assert_ends_as_told(self) -> None:
        """Fail where a document is not as its order says."""
        raise NotImplementedError


def tell(story: Story) -> None:
    """Tell a story from its beginning, and look how it ended."""
    story.begin()
    story.tell()
    story.assert_ends_as_told()


def simulated(*, visible_at_once: bool = True) -> OpenSearchEngine:
    """Return the real engine over a simulated node."""
    rng = random.Random(0)
    network = Network(SimulatedNode(rng=rng), Schedule(rng), rng)
    return engine_over(network, "here", visible_at_once=visible_at_once)


def assert_each_is_told_once_and_holds_every_step(
    orders: Sequence[Order], steps: Sequence[str]
) -> None:
    """Fail where two orders are the same, or one lacks a step of ours."""
    assert len({order["name"] for order in orders}) == len(orders)
    assert len({tuple(order["order"]) for order in orders}) == len(orders)
    for order in orders:
        assert [event for event in order["order"] if event in steps] == list(steps)


def named(orders: Sequence[Order]) -> pytest.MarkDecorator:
    """Run a test once an order."""
    names = [order["name"].replace(" ", "-") for order in orders]
    return pytest.mark.parametrize("order", orders, ids=names)
