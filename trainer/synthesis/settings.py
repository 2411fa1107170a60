"""What is asked for of a synthesis, and the models that are to do it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, Field, ValidationError

from desireline.trainer.errors import SynthesisError

BM25 = "bm25"
"""The relation miner that compares words and needs no model."""

Scores = Literal["probability", "logit"]
"""What a margin is a difference of; see `SynthesisSettings.scores`."""

Progress = Callable[[str, int, int], None]
"""Told of every piece: what is being done, how much of it is done, how much there is."""


class QueryWriter(Protocol):
    """Writes queries for documents."""

    @property
    def fingerprint(self) -> str:
        """Names all that decides what it writes."""
        ...

    def __call__(self, texts: Sequence[str], most: int, /) -> Sequence[Sequence[str]]:
        """Return up to `most` queries for each text."""
        ...


@dataclass(frozen=True, slots=True)
class AbsentWriter:
    """A writer that wrote elsewhere, before, and writes nothing more."""

    fingerprint: str

    def __call__(self, texts: Sequence[str], _most: int, /) -> Sequence[Sequence[str]]:
        """Write nothing."""
        return [[] for _ in texts]


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisModels:
    """Who finds what may be related, who says how right it is, and who writes queries."""

    #: Encoders that find documents for a query, or `bm25`: a folder, a Hugging Face id, `minilm`,
    #: or the first digits of a registered one. The hits of several are united.
    relation_miner: str | Path | Sequence[str | Path]
    #: Folder with config.json, a tokenizer and safetensors; or an encoder, by whose similarities a
    #: smaller one then learns.
    cross_encoder: str | Path
    #: Folder of a sequence-to-sequence model, or anything that writes; None takes words of titles.
    query_writer: str | Path | QueryWriter | None = None
    #: Put before every document that a model in a folder writes queries for.
    prompt: str = ""
    #: Where registered encoders lie.
    registry: Path | None = None

    @property
    def miners(self) -> tuple[str, ...]:
        """The names of all relation miners, in their order."""
        several = self.relation_miner
        if isinstance(several, str | Path):
            several = (several,)
        return tuple(dict.fromkeys(str(one) for one in several))


class SynthesisSettings(BaseModel, frozen=True, extra="forbid"):
    """All numbers that decide which rows come out."""

    #: Documents of each query that the cross-encoder reads: a right one and the others' margins.
    num_relations: int = Field(default=3, ge=2)
    #: Asked for of each document, where queries are written.
    queries_per_document: int = Field(default=3, ge=1)
    #: Written at most in all; of a larger catalogue documents are drawn evenly.
    most_queries: int = Field(default=250_000, ge=1)
    #: Hits of each relation miner among which wrong documents are drawn.
    negatives_per_query: int = Field(default=50, ge=1)
    #: `probability`: what vectors of length 1 can reach. `logit`: as the GPL paper has it, for
    #: encoders that compare by dot product. Of an encoder as the teacher, its similarities.
    scores: Scores = "probability"
    #: Rows at most.
    max_pairs: int | None = Field(default=None, ge=1)
    #: Columns of the documents that make their text, in order; found if left out.
    fields: tuple[str, ...] = ()
    seed: int = 0


def settings_of(**given: object) -> SynthesisSettings:
    """Return settings that hold together.

    Raises:
        SynthesisError: some do not; all are named.

    """
    try:
        return SynthesisSettings.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(
            f"{problem['loc'][0]} is {problem['input']!r}: {problem['msg']}"
            for problem in error.errors()
        )
        raise SynthesisError(
            f"{wrong}; nothing was made", next_step="see desireline synthesize --help"
        ) from error
