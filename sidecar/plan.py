"""What a re-embedding would do, said before it does it."""

import time
from dataclasses import asdict, dataclass
from typing import Any

from desireline.connectors.search_engine import IndexDescription, Read
from desireline.sidecar.generations import State, free_slot
from desireline.sidecar.preflight import refusals
from desireline.sidecar.target import Target

_SAMPLE = 64
#: An HNSW graph and the second copy that a merge makes, as a share of the vectors.
_GRAPH_AND_MERGE = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReindexPlan:
    """Way, amount, cost, and why not."""

    target: str
    index: str
    way: str
    slot: str
    documents: int
    index_bytes: int
    #: Of the new slot with its graph, and room for a merge.
    slot_bytes: int
    #: None when the encoder must be imported first.
    encode_s: float | None
    encoder: str
    calls: tuple[str, ...]
    refusals: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the plan for people."""
        time_needed = (
            "known once the encoder is imported"
            if self.encode_s is None
            else f"about {self.encode_s:,.0f} s of encoding on this machine"
        )
        return [
            f"target    {self.target}: index {self.index}, {self.documents:,} documents,"
            f" {self.index_bytes / 1e6:,.1f} MB",
            f"way       {self.way}: slot {self.slot}; no other field is touched",
            f"encoder   {self.encoder}",
            f"time      {time_needed}",
            f"disk      about {self.slot_bytes / 1e6:,.1f} MB while it runs",
            *(f"call      {call}" for call in self.calls),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def draft(target: Target, fingerprint: str | None, *, encoder: str, end_hold: bool) -> ReindexPlan:
    """Look at the index and the generations; changes nothing.

    Args:
        target: whose index would be embedded again.
        fingerprint: of the encoder; None when it is not in the registry yet.
        encoder: how the user named it.
        end_hold: whether a running hold may be given up.

    """
    described = target.engine.describe(target.config.index)
    live = target.generations.live()
    slot = free_slot(target.config.vector, live)
    dimension = target.encoders.get(fingerprint).dimension if fingerprint else 0
    return ReindexPlan(
        target=target.name,
        index=described.index,
        way="slots in place",
        slot=slot,
        documents=described.documents,
        index_bytes=described.size_bytes,
        slot_bytes=int(described.documents * dimension * 4 * _GRAPH_AND_MERGE),
        encode_s=_encode_seconds(target, fingerprint, described) if fingerprint else None,
        encoder=f"{encoder} ({fingerprint[:12]})" if fingerprint else f"{encoder} (imported first)",
        calls=_calls(described.index, slot, target.config.swap.batch_size),
        refusals=(
            *refusals(target, described, slot, dimension),
            *_held(target, end_hold=end_hold),
        ),
    )


def _encode_seconds(target: Target, fingerprint: str, described: IndexDescription) -> float:
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
    retained = [g for g in target.generations.all() if g.state is State.RETAINED]
    if not retained or end_hold:
        return []
    return [
        f"generation {retained[0].number} is held for a revert in the slot that is needed;"
        " wait for the hold to end or add --end-hold"
    ]


def _calls(index: str, slot: str, batch_size: int) -> tuple[str, ...]:
    return (
        f"PUT {index}/_mapping  {slot}, {slot}_stamp",
        f"POST {index}/_refresh, GET {index}/_stats?level=shards  (fences)",
        f"POST {index}/_search/point_in_time, POST _search  (read every document twice)",
        f"POST _bulk  partial updates guarded by if_seq_no, {batch_size} documents each",
        f"GET {index}/_count  (proof)",
        "PUT .desireline-*/_doc  (generation, lease, pointer)",
    )
