"""What a re-embedding would do, said before it does it."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from desireline.connectors.engine_load import MeasuresLoad
from desireline.connectors.search_engine import IndexDescription, Read, Slot
from desireline.sidecar.generations import Generation, free_slot
from desireline.sidecar.target import Target
from desireline.sidecar.throttling.headroom import Need, shortages
from desireline.sidecar.ways.choice import Choice, Wanted, Way, choose

_SAMPLE = 64
#: Fields of the throttle that say how it measures, not when it waits.
_NO_LIMITS = frozenset({"check_every", "search_floor", "gentle", "probe_private"})
_WAYS = {
    "slot": "slots in place",
    "index": "new index behind the alias",
    "query": "query encoder alone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReindexPlan:
    """Way, amount, cost, and why not."""

    target: str
    index: str
    way: Way
    #: Why this way.
    because: str
    slot: str
    documents: int
    index_bytes: int
    #: What must find room on disk while it runs, a merge's second copy among it.
    disk_bytes: int
    #: Of one largest merge of the graph, on the heap.
    heap_bytes: int
    #: Of the graph while it is searched, outside the heap; 0 where the engine needs none.
    native_bytes: int
    #: None when the encoder must be imported first.
    encode_s: float | None
    encoder: str
    #: When the run would wait, one limit each.
    limits: tuple[str, ...]
    calls: tuple[str, ...]
    refusals: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the plan for people."""
        return [
            f"target    {self.target}: index {self.index}, {self.documents:,} documents,"
            f" {_megabytes(self.index_bytes)}",
            f"way       {_WAYS[self.way]}, slot {self.slot}: {self.because}",
            f"encoder   {self.encoder}",
            f"time      {self._time}",
            f"disk      {_megabytes(self.disk_bytes)} at most while it runs",
            f"memory    {_megabytes(self.heap_bytes)} of heap for the largest merge,"
            f" {_megabytes(self.native_bytes)} outside it for the graph",
            f"throttle  waits above {', '.join(self.limits)}",
            *(f"call      {call}" for call in self.calls),
        ]

    @property
    def _time(self) -> str:
        if self.way == "query":
            return "no document is encoded; every one is read, to prove the vectors"
        if self.encode_s is None:
            return "known once the encoder is imported"
        return f"about {self.encode_s:,.0f} s of encoding on this machine"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def draft(
    target: Target,
    fingerprint: str | None,
    *,
    encoder: str,
    way: Wanted = "auto",
    end_hold: bool = False,
) -> ReindexPlan:
    """Look at the index and the generations; changes nothing.

    Args:
        target: whose index would be embedded again.
        fingerprint: of the encoder; None when it is not in the registry yet.
        encoder: how the user named it.
        way: the operator's wish.
        end_hold: whether a running hold may be given up.

    """
    described = target.engine.describe(target.config.index)
    slot = _slot(target, fingerprint)
    shared = target.shared_vectors(fingerprint, described.index) if fingerprint else None
    choice = choose(target, described, slot, way, shared=shared)
    in_place = choice.way == "query"
    written = _searched(target, slot, choice, shared)
    need = target.need(fingerprint, in_place=in_place) if fingerprint else _nothing_known(described)
    return ReindexPlan(
        target=target.name,
        index=described.index,
        way=choice.way,
        because=choice.reason,
        slot=written,
        documents=described.documents,
        index_bytes=described.size_bytes,
        disk_bytes=need.disk_bytes(described.shards),
        heap_bytes=need.heap_bytes(described.shards),
        native_bytes=need.native_bytes if described.knn_engine == "faiss" else 0,
        encode_s=_encode_seconds(target, fingerprint, described, choice),
        encoder=f"{encoder} ({fingerprint[:12]})" if fingerprint else f"{encoder} (imported first)",
        limits=tuple(_limits(target)),
        calls=_calls(target, described.index, written, choice),
        refusals=(
            *choice.refusals,
            *_too_little(target, described.index, need),
            *_held(target, end_hold=end_hold),
        ),
    )


def _nothing_known(described: IndexDescription) -> Need:
    return Need(
        documents=described.documents,
        dimension=0,
        index_bytes=described.size_bytes,
        knn_engine=described.knn_engine,
    )


def _slot(target: Target, fingerprint: str | None) -> Slot:
    name = free_slot(target.config.vector, target.generations.live())
    if fingerprint is None:
        return Slot(name=name, dimension=0)
    encoder = target.encoders.get(fingerprint)
    return Slot(name=name, dimension=encoder.dimension, similarity=encoder.similarity)


def _too_little(target: Target, index: str, need: Need) -> tuple[str, ...]:
    engine = target.engine
    if not isinstance(engine, MeasuresLoad) or not need.dimension:
        return ()
    return shortages(engine.load(index), need)


def _searched(target: Target, slot: Slot, choice: Choice, shared: Generation | None) -> str:
    """Name the slot that would be searched afterwards."""
    if choice.way == "query" and shared is not None:
        return shared.slot
    return f"{target.config.vector}__a" if choice.way == "index" else slot.name


def _encode_seconds(
    target: Target, fingerprint: str | None, described: IndexDescription, choice: Choice
) -> float | None:
    if fingerprint is None or choice.way == "query":
        return 0.0 if fingerprint else None
    template = target.registry.get(fingerprint).text_template
    read = Read(fields=template.fields, batch_size=_SAMPLE)
    sample = next(iter(target.engine.scan(described.index, read)), [])
    texts = [text for d in sample if (text := template.render(d.fields))]
    if not texts:
        return 0.0
    encoder = target.encoders.get(fingerprint)
    encoder.encode_documents(texts[:4])
    began = time.perf_counter()
    encoder.encode_documents(texts)
    return (time.perf_counter() - began) / len(texts) * described.documents


def _held(target: Target, *, end_hold: bool) -> list[str]:
    held = target.generations.held_slot()
    if held is None or end_hold:
        return []
    return [
        f"generation {held.number} is held for a revert in a slot of its own;"
        " wait for the hold to end or add --end-hold"
    ]


def _limits(target: Target) -> Iterator[str]:
    limits = target.config.throttle
    for name in type(limits).model_fields:
        value = getattr(limits, name)
        if name not in _NO_LIMITS and value is not None:
            yield f"{name} {value}"


def _calls(target: Target, index: str, slot: str, choice: Choice) -> tuple[str, ...]:
    size = target.config.swap.batch_size
    common = (
        f"GET {index}/_mapping, _settings, _count, _stats; GET _nodes/stats  (plan, throttle)",
        f"GET {index}/_stats?level=shards, POST {index}/_refresh  (fences)",
        f"POST {index}/_search/point_in_time, POST _search  (read every document, and prove it)",
        "PUT .desireline-*/_doc  (generation, lease, pointer, run)",
    )
    if choice.way == "query":
        return common
    if choice.way == "slot":
        return (
            f"POST {index}/_bulk  one update whose guard cannot hold (may this user write?)",
            f"PUT {index}/_mapping  {slot}, {slot}_stamp",
            f"POST {index}/_bulk  partial updates guarded by if_seq_no, at most {size} each",
            *common,
        )
    alias = target.config.index
    return (
        f"PUT {alias}-gen-N  settings, mapping and analysis of {index}, and {slot}",
        f"POST {alias}-gen-N/_bulk  whole documents with external versions, at most {size} each",
        *common,
        f"PUT {index}/_block/write  at most {target.config.swap.write_pause:g} s",
        f"POST _aliases  remove {alias} from {index} (must_exist), add it to {alias}-gen-N",
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
