"""What a re-embedding needs of the nodes, and why they have too little of it (invariant 22).

All figures are estimates on the safe side, said before anything is written:

- disk: every document is written once more (deleted copies stay until a merge), the new vectors
  and their graph come beside them, and a merge holds a second copy of what it merges, at most one
  largest segment (5 GB) a shard.
- graph: 2 m links of 4 bytes a document on the lowest level and some above it.
- lucene: while segments merge, the graph lies on the heap, each link with its score.
- faiss: a graph is searched in native memory, 1.1 x (4 x dimension + 8 x m) bytes a vector, as the
  k-NN documentation reckons; above the limit of the k-NN circuit breaker every write of a vector
  fails, the application's too.
"""

from dataclasses import dataclass, replace
from typing import Literal

from desireline.connectors.engine_load import EngineLoad, NodeLoad

_LARGEST_SEGMENT = 5 * 1024**3
#: What all upper levels of a graph add to the lowest.
_LEVELS = 1.1
#: A link and its score in the heap, and the arrays that hold them.
_HEAP_A_LINK = 8
_HEAP_A_DOCUMENT = 100
#: The parent circuit breaker trips at 95 % of the heap.
_HEAP_LIMIT = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What is to be written, counted for one copy of the index."""

    documents: int
    dimension: int
    #: Of the index as it is: slots in place write each document anew, a new index copies it.
    index_bytes: int
    knn_engine: Literal["lucene", "faiss"] = "lucene"
    #: Links of a document in the graph.
    m: int = 16

    @property
    def slot_bytes(self) -> int:
        """The new vectors and their graph on disk."""
        return int(self.documents * (4 * self.dimension + 4 * 2 * self.m * _LEVELS))

    def disk_bytes(self, primaries: int) -> int:
        """Return everything that must find room while the run goes on, for one copy."""
        written = self.index_bytes + self.slot_bytes
        return written + min(written, _LARGEST_SEGMENT * max(primaries, 1))

    def after(self, documents: int) -> "Need":
        """Return what is left once so many documents are written: a run that resumes needs less."""
        left = max(0, self.documents - documents)
        share = left / self.documents if self.documents else 0.0
        return replace(self, documents=left, index_bytes=int(self.index_bytes * share))

    def left_bytes(self, documents: int) -> int:
        """Return what is still to be written after so many documents, for one copy."""
        left = self.after(documents)
        return left.index_bytes + left.slot_bytes

    def heap_bytes(self, primaries: int) -> int:
        """Return the heap that the largest merge of a lucene graph takes."""
        bytes_each = max(1.0, (self.index_bytes + self.slot_bytes) / max(self.documents, 1))
        in_segment = min(self.documents / max(primaries, 1), _LARGEST_SEGMENT / bytes_each)
        return int(in_segment * (2 * self.m * _HEAP_A_LINK * _LEVELS + _HEAP_A_DOCUMENT))

    @property
    def native_bytes(self) -> int:
        """Native memory of a faiss graph that is searched, for one copy."""
        return int(1.1 * (4 * self.dimension + 8 * self.m) * self.documents)


def shortages(load: EngineLoad, need: Need) -> tuple[str, ...]:
    """Say what the nodes have too little of, one sentence each; empty when there is enough."""
    return (
        *_tripped(load),
        *(s for node in load.nodes for s in _disk(node, need, load.primaries)),
        *(s for node in load.nodes for s in _memory(node, need, load.primaries)),
    )


def _tripped(load: EngineLoad) -> list[str]:
    if not load.graph_breaker_tripped:
        return []
    return ["the k-NN circuit breaker has tripped: no vector can be written until it is reset"]


def _disk(node: NodeLoad, need: Need, primaries: int) -> list[str]:
    wanted = need.disk_bytes(primaries) * node.part
    if node.disk is None or wanted <= node.disk.room_bytes:
        return []
    return [
        f"node {node.name} needs {_gb(wanted)} of disk (documents written anew, vectors, graph and"
        f" the copy of a merge) and has {_gb(max(node.disk.room_bytes, 0))} under its low watermark"
    ]


def _memory(node: NodeLoad, need: Need, primaries: int) -> list[str]:
    return _native(node, need) if need.knn_engine == "faiss" else _heap(node, need, primaries)


def _native(node: NodeLoad, need: Need) -> list[str]:
    wanted = need.native_bytes * node.part
    if node.graph_bytes is None or node.graph_limit_bytes is None:
        return []
    if node.graph_bytes + wanted <= node.graph_limit_bytes:
        return []
    left = max(node.graph_limit_bytes - node.graph_bytes, 0)
    return [
        f"node {node.name} needs {_gb(wanted)} of native memory for the second graph and has"
        f" {_gb(left)} left under the k-NN circuit breaker's limit of {_gb(node.graph_limit_bytes)}"
    ]


def _heap(node: NodeLoad, need: Need, primaries: int) -> list[str]:
    if node.heap is None or node.heap_bytes is None:
        return []
    wanted = need.heap_bytes(primaries)
    left = node.heap_bytes * (_HEAP_LIMIT - max(node.heap, node.breakers.get("parent", 0.0)))
    if wanted <= left:
        return []
    return [
        f"node {node.name} needs {_gb(wanted)} of heap to merge the graph and has"
        f" {_gb(max(left, 0))} left under its parent circuit breaker"
    ]


def _gb(size: float) -> str:
    return f"{size / 1e9:,.2f} GB"
