"""What must hold at every write, every search and at the end (opensearch.md, §4).

Each check names the invariant it stands for.
"""

from typing import Any

import numpy as np
from simulated_application import Application
from simulated_index import Index
from simulated_name_checks import NameChecks
from simulated_node import SimulatedNode
from simulated_rows import SLOTS, digest_of, documents_of, own, present, stands_for
from simulated_shard import Row
from simulated_target import BY_FINGERPRINT, CONFIG

from desireline.sidecar.generations import State
from desireline.sidecar.serving.live import LiveGeneration
from desireline.sidecar.target import Target


class Checks:
    """Watches one node."""

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self.pointers: list[dict[str, Any]] = []
        self.generations: dict[int, dict[str, Any]] = {}
        self.searches = 0
        self.embeddings = 0
        self.copies = 0
        self.names = NameChecks(node)
        self._fixed: set[str] = set()
        self._serving: LiveGeneration | None = None

    def begin(self, application: Application) -> None:
        """Watch from here on."""
        self._fixed = {
            name
            for name in application.fixed
            if CONFIG.template.render(application.keys[name].sure or {})
        }
        for index in self._node.indexes.values():
            for shard in index.shards:
                for row in shard.primary.rows.values():
                    self._written(index, row, "before", None)
        self._node.journal = self._written
        self._node.searched = self._searched
        self.names.begin(numbers=application.numbers)

    # At every write.

    def _written(self, index: Index, row: Row, origin: str, before: Row | None) -> None:
        if index.name.startswith(".desireline"):
            self._state_written(row)
        elif origin == "before":
            pass
        elif origin == "app":
            assert stands_for(index), f"1: {index.name}, which was left, took {row.document_id}"
        elif stands_for(index):
            self._embedding_written(index, row, origin, before)
        else:
            self._copy_written(row, origin, before)

    def _state_written(self, row: Row) -> None:
        held = row.source or {}
        if held.get("kind") == "generation":
            self.generations[held["body"]["number"]] = held["body"]
        elif held.get("kind") == "pointer":
            self._pointed(held["body"])

    def _pointed(self, pointer: dict[str, Any]) -> None:
        """10, 17: a write of the pointer never undoes what a later owner wrote."""
        if self.pointers:
            last = self.pointers[-1]
            assert pointer["fencing"] >= last["fencing"], (
                f"17: an owner with fencing {pointer['fencing']} wrote the pointer after one with"
                f" {last['fencing']}"
            )
            if pointer["generation"] != last["generation"]:
                assert pointer["previous"] == last["generation"], (
                    f"10: the pointer went from {last['generation']} to {pointer['generation']}"
                    f" as if it had been {pointer['previous']}"
                )
        self.pointers.append(pointer)

    def _copy_written(self, row: Row, origin: str, before: Row | None) -> None:
        """5: into an index that does not serve whole documents may go, and deletes."""
        self.copies += 1
        for slot in SLOTS:
            stamp = (row.source or {}).get(f"{slot}_stamp")
            if stamp is None or stamp == ((before and before.source) or {}).get(f"{slot}_stamp"):
                continue
            assert stamp["digest"] == digest_of(row), (
                f"5: {origin} copied {row.document_id} with the vector of another text"
            )

    def _embedding_written(self, index: Index, row: Row, origin: str, before: Row | None) -> None:
        self.embeddings += 1
        assert present(before), f"2: {origin} brought {row.document_id} back"
        assert before is not None
        assert before.source is not None
        assert row.source is not None, f"2: {origin} deleted {row.document_id}"
        assert own(row) == own(before), f"3: {origin} changed fields of {row.document_id}"
        for slot in SLOTS:
            stamp = row.source.get(f"{slot}_stamp")
            if stamp is None or stamp == before.source.get(f"{slot}_stamp"):
                continue
            assert stamp["digest"] == digest_of(row), (
                f"5: {origin} wrote the vector of another text to {row.document_id}"
            )
            live = self._live_in(index, slot)
            assert live is None or stamp["generation"] == live, (
                f"17: {origin} wrote generation {stamp['generation']} to {row.document_id} in the"
                f" slot of live generation {live}"
            )

    def _live_in(self, index: Index, slot: str) -> int | None:
        if not self.pointers:
            return None
        live = self.pointers[-1]["generation"]
        known = self.generations[live]
        if (known["index"], known["slot"]) != (index.name, slot):
            return None
        return live if known["vectors_of"] is None else int(known["vectors_of"])

    # At every search.

    def searching(self, live: LiveGeneration) -> None:
        """Say what the next search is answered by."""
        self._serving = live

    @property
    def query_swaps(self) -> int:
        """Count how often a generation over another one's vectors went live."""
        named = [pointer["generation"] for pointer in self.pointers]
        went_live = (
            now for before, now in zip([None, *named], named, strict=False) if now != before
        )
        return sum(self.generations[number]["vectors_of"] is not None for number in went_live)

    def is_kept(self, serving: LiveGeneration) -> bool:
        """Say whether the pointer still names the generation, as live or as the way back."""
        last = self.pointers[-1] if self.pointers else {"generation": None, "previous": None}
        return serving.number in {last["generation"], last["previous"]}

    def _searched(self, origin: str, slot: str, rows: list[Row]) -> None:
        """9: no search is empty or mixes generations while its generation is kept."""
        if origin != "searcher":
            return
        serving, self._serving = self._serving, None
        if serving is None or not self.is_kept(serving):
            return
        self.searches += 1
        found = {(row.source or {})[f"{slot}_stamp"]["generation"] for row in rows}
        assert found <= {serving.stamp_number}, (
            f"9: a search by generation {serving.number} met {sorted(found)}"
        )
        missing = self._fixed - {row.document_id for row in rows}
        assert not missing, f"9: a search by generation {serving.number} misses {missing}"

    # At the end.

    def end(self, target: Target, application: Application) -> None:
        """Compare every document with what was acknowledged, every vector with its text."""
        index = self.names.end()
        rows = documents_of(index)
        unknown = rows.keys() - application.keys.keys()
        assert not unknown, f"2: documents nobody wrote: {sorted(unknown)}"
        for name, key in application.keys.items():
            row = rows.get(name)
            found = None if row is None else own(row)
            assert key.allows(found), f"1: {name} is {found}, acknowledged was {key.sure}"
            if application.numbers and row is not None and not key.perhaps:
                assert row.version == key.number, f"3: {name} has version {row.version}"
        kept = [g for g in target.generations.all() if g.state in {State.LIVE, State.RETAINED}]
        live = [g.index for g in kept if g.state is State.LIVE]
        assert live == [index.name], f"10: the alias names {index.name}, live is {live}"
        # What is held in an index that takes no writes is brought up to date by a revert.
        for generation in (g for g in kept if g.index == index.name):
            for row in rows.values():
                number = generation.stamp_number
                self._embedded(row, generation.slot, number, generation.fingerprint)

    @staticmethod
    def _embedded(row: Row, slot: str, number: int, fingerprint: str) -> None:
        """4, 13: exactly one vector of the generation, of the present text."""
        source = row.source or {}
        place = f"4: {row.document_id} in slot {slot} of generation {number}"
        stamp = source.get(f"{slot}_stamp")
        assert stamp is not None, f"{place} carries no stamp"
        assert stamp["generation"] == number, f"{place} carries {stamp['generation']}"
        assert stamp["digest"] == digest_of(row), f"{place} is of another text"
        text = CONFIG.template.render(source)
        vector = source.get(slot)
        if not text:
            assert vector is None, f"{place} has a vector and no text"
            return
        expected = BY_FINGERPRINT[fingerprint].encode_documents([text])[0]
        assert vector is not None, f"{place} has no vector"
        assert np.allclose(vector, expected, atol=1e-6), f"{place} has another vector"
