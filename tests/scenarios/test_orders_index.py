"""Every order of copy, application and alias swap ends as `orders_index.json` says.

Each order is one document's story on the way to a new index. The application writes through the
alias; between block and swap it is turned away. At the swap the copy holds what the application had
last written, nothing stale and nothing deleted. On the simulated engine every order is a run of its
own; on a real node all are told at once, one document each, gap by gap.
"""

import json
from pathlib import Path
from typing import ClassVar

import pytest
from simulated_target import CACHE, CONFIG, ENCODERS
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
from desireline.connectors.errors import WriteBlockedError
from desireline.connectors.generation_indexes import IndexLabel, IndexOverrides
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import Fence, Read
from desireline.sidecar.generations import Generation, State
from desireline.sidecar.lease import Lease, acquire
from desireline.sidecar.steering.steps import Step
from desireline.sidecar.ways.alias_swap import AliasSwap
from desireline.sidecar.ways.copy_proof import Prover
from desireline.sidecar.ways.copying import Copier, CopyParts
from desireline.sidecar.ways.write_block import WriteBlocks
from desireline.sidecar.writing.embedding_cache import CachedEncoder
from desireline.sidecar.writing.patience import Patience

ORDERS = json.loads((Path(__file__).parent / "orders_index.json").read_text())
STEPS = ("read", "copy", "catch up", "anti-join", "prove", "block", "swap")


class Behind(Story):
    """Documents behind an alias move to a new index."""

    steps: ClassVar = STEPS
    blocked = copying = False

    def __post_init__(self) -> None:
        super().__post_init__()
        # No process is there to be killed, so no other one has to watch over it.
        self.engine.reconnection = lambda: None  # type: ignore[method-assign]

    def begin(self) -> None:
        self.engine.create_index(f"{self.name}-v1", ["title", "description"])
        named = {"add": {"index": f"{self.name}-v1", "alias": self.name}}
        self.engine._cluster.call("POST", "/_aliases", body={"actions": [named]})
        super().begin()

    def happens(self, document_id: str, event: str) -> None:
        if not self.blocked:
            super().happens(document_id, event)
            return
        with pytest.raises(WriteBlockedError):
            super().happens(document_id, event)

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
        self.cut_over(ready, lease)
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
            index=f"{self.name}-gen-1",
            slot=SLOT,
            dimension=ENCODERS[0].dimension,
            similarity=ENCODERS[0].similarity,
            fingerprint=ENCODERS[0].fingerprint,
            created_at=NOW,
            way="index",
            copied_from=f"{self.name}-v1",
        )
        label = IndexLabel(
            target="jobs", generation=1, copied_from=f"{self.name}-v1", versions="sequence"
        )
        self.engine.create_generation_index(
            f"{self.name}-v1", generation.index, generation.vector_slot, label, IndexOverrides()
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
            alias=self.name,
            reason="a story",
            pause_s=600.0,
            hold_until=None,
            about_to_swap=about_to_swap,
            reached=self.reached,
        )

    def found(self) -> dict[str, str | None]:
        """Return the text of each document behind the alias; None where it is gone."""
        read = Read(fields=(*CONFIG.template.fields, "level"), slots=(SLOT,), embeddings=True)
        held = {d.document_id: d for page in self.engine.scan(self.name, read) for d in page}
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
        assert self.engine.alias_state(self.name).index == f"{self.name}-gen-1"
        end = self.found()
        for number, order in enumerate(self.orders):
            assert self.found_at_swap[f"d{number}"] == order["at_swap"], order["name"]
            assert end[f"d{number}"] == order["end"], order["name"]


def _fail(document_id: str, reason: str) -> None:
    raise AssertionError(f"{document_id}: {reason}")


@named(ORDERS)
def test_an_order_ends_as_told_on_the_simulated_engine(order: Order) -> None:
    tell(Behind(simulated(visible_at_once=False), "jobs", [order]))


def test_all_orders_end_as_told_side_by_side_on_the_simulated_engine() -> None:
    tell(Behind(simulated(visible_at_once=False), "jobs", ORDERS))


@pytest.mark.opensearch
def test_all_orders_end_as_told_on_a_real_node(opensearch_url: str, index_prefix: str) -> None:
    settings = OpenSearchSettings(url=opensearch_url)
    engine = OpenSearchEngine(settings, visible_at_once=False)
    tell(Behind(engine, f"{index_prefix}jobs", ORDERS))
    engine.close()


def test_every_order_is_told_once_and_holds_every_step() -> None:
    assert_each_is_told_once_and_holds_every_step(ORDERS, STEPS)
