"""Every order of copy, application and alias swap ends as `orders_index.json` says.

Each order is one document's story on the way to a new index. The application writes through the
alias; between block and swap it is turned away. At the swap the copy holds what the application had
last written, nothing stale and nothing deleted. On the simulated engine every order is a run of its
own; on a real node all are told at once, one document each, gap by gap.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from simulated_client import Network, engine_over
from simulated_node import SimulatedNode
from simulated_schedule import Schedule
from simulated_target import CACHE, CONFIG, ENCODERS

from desireline.connectors.documents import Document, digest
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.errors import WriteBlockedError
from desireline.connectors.generation_indexes import IndexLabel, IndexOverrides
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import Fence, Read
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.alias_swap import AliasSwap
from desireline.sidecar.copy_proof import Prover
from desireline.sidecar.copying import Copier, CopyParts
from desireline.sidecar.cutover import cut_over
from desireline.sidecar.embedding_cache import CachedEncoder
from desireline.sidecar.embedding_writer import EmbeddingWriter
from desireline.sidecar.follower import Follower
from desireline.sidecar.generations import Generation, Generations, State
from desireline.sidecar.lease import Lease, acquire
from desireline.sidecar.patience import Patience
from desireline.sidecar.steps import Step
from desireline.sidecar.write_block import WriteBlocks

ORDERS = json.loads((Path(__file__).parent / "orders_index.json").read_text())
STEPS = ("read", "copy", "catch up", "anti-join", "prove", "block", "swap")
SLOT = "embedding__a"
OLD, NEW = {"title": "old text", "level": 1}, {"title": "new text", "level": 2}
NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


@dataclass
class Story:
    """Several documents behind an alias, each with its order, told gap by gap."""

    engine: OpenSearchEngine
    alias: str
    orders: Sequence[dict[str, Any]]
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.told: dict[int, int] = dict.fromkeys(range(len(self.orders)), 0)
        self.generations = Generations(self.store, "jobs")
        self.blocked = self.copying = False
        # No process is there to be killed, so no other one has to watch over it.
        self.engine.reconnection = lambda: None  # type: ignore[method-assign]

    def begin(self) -> None:
        self.engine.create_index(f"{self.alias}-v1", ["title", "description"])
        named = {"add": {"index": f"{self.alias}-v1", "alias": self.alias}}
        self.engine._cluster.call("POST", "/_aliases", body={"actions": [named]})
        there = [n for n, order in enumerate(self.orders) if _first(order) != "create"]
        self.engine.index_documents(
            self.alias, [Document(document_id=f"d{n}", fields=OLD) for n in there]
        )

    def until(self, step: str) -> None:
        """Be the application up to where this step stands in each order; empty: to the end."""
        for number, order in enumerate(self.orders):
            while self.told[number] < len(order["order"]):
                event = order["order"][self.told[number]]
                if event in STEPS:
                    break
                self._turned_away_or_not(f"d{number}", event)
                self.told[number] += 1
            if step:
                assert order["order"][self.told[number]] == step
                self.told[number] += 1

    def _turned_away_or_not(self, name: str, event: str) -> None:
        if not self.blocked:
            self._application(name, event)
            return
        with pytest.raises(WriteBlockedError):
            self._application(name, event)

    def _application(self, name: str, event: str) -> None:
        if event in {"replace", "create"}:
            self.engine.index_documents(self.alias, [Document(document_id=name, fields=NEW)])
        elif event == "delete":
            self.engine.delete_documents(self.alias, [name])
        else:
            change = {"level": 3} if event == "update another field" else {"title": NEW["title"]}
            self.engine.update_fields(self.alias, name, change)

    def tell(self) -> None:
        """Copy, catch up, prove, swap and cut over, with the application in the gaps."""
        lease = acquire(self.store, "jobs", ttl_s=600)
        generation = self.create()
        copier = self.copier(generation, lease)
        self.until("read")
        self.copying = True
        copier.catch_up()
        self.reached(Step.BATCH_ENCODED)  # where there was nothing to copy
        self.until("catch up")
        copier.catch_up()
        self.until("anti-join")
        copier.remove_deleted()
        self.until("prove")
        prover = Prover(copier, (), 1_000)
        proof = prover.prove()
        assert proof.passes, proof.sentence
        ready = self.generations.change(generation, state=State.READY)
        self.until("block")
        self.swap(copier, prover, lease).attempt(1, proof)
        self.found_at_swap = self.found()
        cut_over(
            self.generations,
            ready,
            lease=lease,
            hold=timedelta(hours=1),
            reason="a story",
            clock=lambda: NOW,
        )
        self.until("")
        self.follow(lease)

    def reached(self, step: Step) -> None:
        """Stand between the read and the copy, and between the block and the swap."""
        if step is Step.BATCH_ENCODED and self.copying:
            self.copying = False
            self.until("copy")
        if step is Step.WRITES_BLOCKED:
            self.blocked = True
            self.until("swap")
            self.blocked = False

    def create(self) -> Generation:
        generation = self.generations.create(
            index=f"{self.alias}-gen-1",
            slot=SLOT,
            dimension=ENCODERS[0].dimension,
            similarity=ENCODERS[0].similarity,
            fingerprint=ENCODERS[0].fingerprint,
            created_at=NOW,
            way="index",
            copied_from=f"{self.alias}-v1",
        )
        label = IndexLabel(
            target="jobs", generation=1, copied_from=f"{self.alias}-v1", versions="sequence"
        )
        self.engine.create_generation_index(
            f"{self.alias}-v1", generation.index, generation.vector_slot, label, IndexOverrides()
        )
        return generation

    def copier(self, generation: Generation, lease: Lease) -> Copier:
        parts = CopyParts(
            engine=self.engine,
            encoder=CachedEncoder(ENCODERS[0], CACHE),
            template=CONFIG.template,
            lease=lease,
            may_write=lambda _: None,
            patience=lambda: Patience(60.0, check=lease.check),
            keep=lambda _: None,
            remember_failure=_fail,
            reached=self.reached,
            batch_size=1_000,
            written_as=self.engine.own_copies(generation.index, lease.fencing),
        )
        return Copier(parts, generation, "sequence")

    def swap(self, copier: Copier, prover: Prover, lease: Lease) -> AliasSwap:
        def about_to_swap(fence: Fence) -> None:
            self.generations.change(copier.generation, caught_up=fence.to_json())

        return AliasSwap(
            copier=copier,
            prover=prover,
            blocks=WriteBlocks(self.store, "jobs"),
            lease=lease,
            target="jobs",
            alias=self.alias,
            reason="a story",
            pause_s=600.0,
            hold_until=None,
            about_to_swap=about_to_swap,
            reached=self.reached,
        )

    def follow(self, lease: Lease) -> None:
        def writer(generation: Generation, lease: Lease) -> EmbeddingWriter:
            return EmbeddingWriter(
                engine=self.engine,
                store=self.store,
                generation=generation,
                encoder=CachedEncoder(ENCODERS[0], CACHE),
                template=CONFIG.template,
                lease=lease,
            )

        Follower(
            engine=self.engine,
            generations=self.generations,
            writer_for=writer,
            clock=lambda: NOW,
            caught_up=lambda *_: None,
        ).follow_once(lease)

    def found(self) -> dict[str, str | None]:
        """Return the text of each document behind the alias; None where it is gone."""
        read = Read(fields=(*CONFIG.template.fields, "level"), slots=(SLOT,), embeddings=True)
        held = {d.document_id: d for page in self.engine.scan(self.alias, read) for d in page}
        for document in held.values():
            text = CONFIG.template.render(document.fields)
            assert document.stamps[SLOT].digest == digest(text), "a stale vector"
            assert document.embeddings[SLOT] == pytest.approx(
                ENCODERS[0].encode_documents([text])[0], abs=1e-6
            )
        titles = {OLD["title"]: "old", NEW["title"]: "new"}
        return {
            f"d{n}": titles[str(held[f"d{n}"].fields["title"])] if f"d{n}" in held else None
            for n in range(len(self.orders))
        }

    def assert_ends_as_told(self) -> None:
        assert self.engine.alias_state(self.alias).index == f"{self.alias}-gen-1"
        end = self.found()
        for number, order in enumerate(self.orders):
            assert self.found_at_swap[f"d{number}"] == order["at_swap"], order["name"]
            assert end[f"d{number}"] == order["end"], order["name"]


def _fail(document_id: str, reason: str) -> None:
    raise AssertionError(f"{document_id}: {reason}")


def _first(order: dict[str, Any]) -> str:
    return str(next(event for event in order["order"] if event not in STEPS))


def tell(engine: OpenSearchEngine, alias: str, orders: Sequence[dict[str, Any]]) -> None:
    story = Story(engine, alias, orders)
    story.begin()
    story.tell()
    story.assert_ends_as_told()


def simulated() -> OpenSearchEngine:
    rng = random.Random(0)
    network = Network(SimulatedNode(rng=rng), Schedule(rng), rng)
    return engine_over(network, "here", visible_at_once=False)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order["name"].replace(" ", "-"))
def test_an_order_ends_as_told_on_the_simulated_engine(order: dict[str, Any]) -> None:
    tell(simulated(), "jobs", [order])


def test_all_orders_end_as_told_side_by_side_on_the_simulated_engine() -> None:
    tell(simulated(), "jobs", ORDERS)


@pytest.mark.opensearch
def test_all_orders_end_as_told_on_a_real_node(opensearch_url: str, index_prefix: str) -> None:
    settings = OpenSearchSettings(url=opensearch_url)
    engine = OpenSearchEngine(settings, visible_at_once=False)
    tell(engine, f"{index_prefix}jobs", ORDERS)
    engine.close()


def test_every_order_is_told_once_and_holds_every_step() -> None:
    assert len({order["name"] for order in ORDERS}) == len(ORDERS)
    assert len({tuple(order["order"]) for order in ORDERS}) == len(ORDERS)
    for order in ORDERS:
        assert [event for event in order["order"] if event in STEPS] == list(STEPS)
