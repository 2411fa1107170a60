"""Of which encoder the vectors of an index are that desireline never touched.

A sample is encoded again by every encoder that may have made them, and each vector belongs to the
encoder that gives it, up to that encoder's own noise. Nothing else is sound: two encoders of one
family fill the same space with vectors of the same lengths and neighbours of the same kind, so
statistics of the vectors alone cannot tell a mixture from a varied index. Where no encoder fits,
the answer is that it cannot be told.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from desireline.connectors.documents import Document, TextTemplate, Vectors
from desireline.sidecar.proof.reencoding import distances, tolerance_of
from desireline.sidecar.proof.verification import EXAMPLES
from desireline.trainer.encoders.base import Encoder

#: With so many drawn and none of another kind, at most 3 / drawn are, with 95 % certainty.
_RULE_OF_THREE = 3


class Verdict(StrEnum):
    """What can be said of an index's vectors."""

    ONE = "one encoder"
    MIXED = "mixed encoders"
    UNKNOWN = "cannot be told"
    EMPTY = "no vectors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found in one vector field."""

    index: str
    vector: str
    documents: int
    with_vector: int
    #: Documents with a text and a vector that were encoded again.
    drawn: int
    #: How many of them each encoder gives, by fingerprint.
    by_encoder: Mapping[str, int]
    #: Drawn documents that no encoder gives: how near the nearest one comes, as cosine, at best.
    of_none: int
    nearest: float | None
    #: Ids of drawn documents that are not of the encoder most are of, at most ten.
    examples: tuple[str, ...] = ()
    #: The shortest and the longest vector of all.
    lengths: tuple[float, float] | None = None

    @property
    def verdict(self) -> Verdict:
        """What can be said."""
        if not self.with_vector:
            return Verdict.EMPTY
        if not self.by_encoder or not self.drawn:
            return Verdict.UNKNOWN
        return Verdict.ONE if self.of_none == 0 and len(self.by_encoder) == 1 else Verdict.MIXED

    @property
    def clean(self) -> bool:
        """Whether every vector that was drawn is of one encoder that is known."""
        return self.verdict is Verdict.ONE

    @property
    def sentence(self) -> str:
        """One line for people."""
        place = f"{self.index}, field {self.vector}"
        if self.verdict is Verdict.EMPTY:
            return f"{place}: none of {self.documents:,} documents has a vector"
        told = ", ".join(f"{count:,} of {name[:12]}" for name, count in self.by_encoder.items())
        if self.verdict is Verdict.UNKNOWN:
            near = "" if self.nearest is None else f"; the nearest comes to cosine {self.nearest}"
            return (
                f"{place}: of {self.drawn:,} vectors none is what a known encoder gives for these"
                f" text fields{near}, so whether they are of one space cannot be told"
            )
        if self.verdict is Verdict.MIXED:
            strays = f", {self.of_none:,} of none of them" if self.of_none else ""
            return (
                f"{place}: of {self.drawn:,} vectors {told}{strays}: the index mixes vector spaces"
            )
        share = f"{100 * _RULE_OF_THREE / self.drawn:.2g} %"
        rest = "" if self.drawn == self.with_vector else f"; at most {share} of the rest are not"
        return f"{place}: {told}, that is all {self.drawn:,} that were encoded again{rest}"

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict for programs."""
        return {
            "index": self.index,
            "vector": self.vector,
            "documents": self.documents,
            "with_vector": self.with_vector,
            "drawn": self.drawn,
            "by_encoder": dict(self.by_encoder),
            "of_none": self.of_none,
            "nearest": self.nearest,
            "examples": list(self.examples),
            "lengths": self.lengths,
            "verdict": str(self.verdict),
            "clean": self.clean,
            "sentence": self.sentence,
        }


@dataclass(slots=True)
class Sorter:
    """Sorts drawn documents by the encoder that gives their vector."""

    encoders: Mapping[str, Encoder]
    template: TextTemplate
    vector: str
    drawn: int = 0
    by_encoder: Counter[str] = field(default_factory=Counter)
    of_none: int = 0
    nearest: float | None = None
    #: A few ids of each kind; the kind most are of is left out in the end.
    _ids: dict[str, list[str]] = field(default_factory=dict)
    _tolerances: dict[str, float] = field(default_factory=dict)

    def sort(self, documents: Sequence[Document]) -> None:
        """Take in documents; those without a text or a vector are passed over."""
        texts = {d.document_id: self.template.render(d.fields) for d in documents}
        held = [d for d in documents if texts[d.document_id] and self.vector in d.embeddings]
        if not held or not self.encoders:
            self.drawn += len(held)
            self.of_none += len(held)
            return
        vectors = np.stack([document.embeddings[self.vector] for document in held])
        wanted = [texts[document.document_id] for document in held]
        apart = {name: self._apart(name, wanted, vectors) for name in self.encoders}
        for row, document in enumerate(held):
            self._place(
                document.document_id, {name: float(far[row]) for name, far in apart.items()}
            )

    def _apart(self, name: str, texts: Sequence[str], vectors: Vectors) -> np.ndarray:
        fresh = self.encoders[name].encode_documents(texts)
        if name not in self._tolerances:
            self._tolerances[name] = tolerance_of(self.encoders[name], texts, fresh)
        return distances(vectors, fresh)

    def _place(self, document_id: str, apart: Mapping[str, float]) -> None:
        self.drawn += 1
        name = min(apart, key=apart.__getitem__)
        if apart[name] <= self._tolerances[name]:
            self.by_encoder[name] += 1
        else:
            self.of_none += 1
            self.nearest = round(max(self.nearest or -1.0, 1 - apart[name]), 4)
            name = ""
        ids = self._ids.setdefault(name, [])
        if len(ids) < EXAMPLES:
            ids.append(document_id)

    @property
    def examples(self) -> tuple[str, ...]:
        """Ids of documents that are not of the encoder most are of."""
        most = self.by_encoder.most_common(1)
        strays = [ids for name, ids in self._ids.items() if not most or name != most[0][0]]
        return tuple(document_id for ids in strays for document_id in ids)[:EXAMPLES]
