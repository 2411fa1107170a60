"""What a proof found: kinds of difference, how many of each, and a few examples by id."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from desireline.connectors.search_engine import Fence

#: Examples kept of each kind.
EXAMPLES = 10


class Kind(StrEnum):
    """One way in which a document can differ from what it should be."""

    NO_STAMP = "no stamp"
    OTHER_GENERATION = "stamp of another generation"
    OTHER_TEXT = "stamp of another text"
    FENCING = "stamp of an owner there never was"
    UNSTAMPED_VECTOR = "vector without a stamp"
    NO_VECTOR = "stamp without a vector"
    UNWANTED_VECTOR = "vector without a text"
    DIMENSION = "vector of another dimension"
    NOT_FINITE = "vector that is not finite"
    LENGTH = "vector of another length"
    OTHER_VECTOR = "not the vector that was written"
    OTHER_ENCODER = "not what the encoder gives"
    MISSING = "document missing"
    UNWANTED = "document that should not be there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One document that is not as it should be. Never holds its text."""

    document_id: str
    kind: Kind
    #: What was found, in words; empty where the kind says it all.
    detail: str = ""
    routing: str | None = None

    @property
    def sentence(self) -> str:
        """One line for people."""
        told = f" ({self.detail})" if self.detail else ""
        if not self.document_id:
            return f"{self.kind}{told}"
        return f"document {self.document_id!r}: {self.kind}{told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reencoded:
    """What encoding a sample again showed."""

    documents: int = 0
    #: The largest distance in cosine between what is stored and what the encoder gives now.
    furthest: float = 0.0
    #: Distances up to this are the encoder's own noise.
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What the proof found."""

    generation: int
    index: str
    slot: str
    #: Documents that were enumerated in the last round.
    documents: int
    stamped: int
    #: Documents of each kind that differ still and were not edited meanwhile.
    kinds: Mapping[Kind, int] = field(default_factory=lambda: MappingProxyType({}))
    #: At most ten of each kind.
    examples: tuple[Difference, ...] = ()
    #: Documents that differed and were too many to be looked at again.
    not_looked_at_again: int = 0
    #: Documents that the application wrote and nobody has embedded yet.
    waiting: int = 0
    #: Documents whose stamp is older than checks: their vector is proved by the sample alone.
    without_check: int = 0
    reencoded: Reencoded = Reencoded()
    #: Documents on the failed list, still without this generation's vector.
    failed: int = 0
    fence: Fence

    @property
    def clean(self) -> bool:
        """Whether no document differs."""
        return not self.kinds and not self.not_looked_at_again

    def passes(self, *, max_failed: int) -> bool:
        """Whether the generation may go live."""
        return self.clean and self.failed <= max_failed

    @property
    def differences(self) -> tuple[str, ...]:
        """The examples, one sentence each."""
        return tuple(example.sentence for example in self.examples)

    @property
    def sentence(self) -> str:
        """One line for people."""
        text = f"{self.stamped:,} of {self.documents:,} carry generation {self.generation}"
        if self.reencoded.documents:
            text += f"; {self.reencoded.documents:,} were encoded again"
        if self.waiting:
            text += f"; {self.waiting:,} were written a moment ago and wait for the follower"
        if self.failed:
            text += f"; {self.failed:,} are on the failed list"
        if self.kinds:
            text += f"; {sum(self.kinds.values()):,} differ and stay so"
        if self.not_looked_at_again:
            text += f", {self.not_looked_at_again:,} more differed at the first look"
        if self.examples:
            text += f": {self.examples[0].sentence}"
        return text

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict for programs."""
        return {
            "generation": self.generation,
            "index": self.index,
            "slot": self.slot,
            "documents": self.documents,
            "stamped": self.stamped,
            "clean": self.clean,
            "differences": {str(kind): count for kind, count in self.kinds.items()},
            "examples": [asdict(example) for example in self.examples],
            "not_looked_at_again": self.not_looked_at_again,
            "waiting": self.waiting,
            "without_check": self.without_check,
            "reencoded": asdict(self.reencoded),
            "failed": self.failed,
            "sentence": self.sentence,
        }


def counted(differences: Iterable[Difference]) -> tuple[dict[Kind, int], tuple[Difference, ...]]:
    """Return how many there are of each kind, and the first few of each."""
    counts: Counter[Kind] = Counter()
    examples = []
    for difference in differences:
        counts[difference.kind] += 1
        if counts[difference.kind] <= EXAMPLES:
            examples.append(difference)
    return dict(counts), tuple(examples)
