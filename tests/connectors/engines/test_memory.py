"""The memory engine's own: staged races and faults, and BM25 as Lucene counts it."""

import math

import numpy as np
import pytest

from desireline.connectors.documents import Document, EmbeddingWrite, Outcome, Stamp
from desireline.connectors.engines.bm25 import FieldIndex
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.errors import EngineUnavailableError
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import Read, Slot

SLOT = Slot(name="embedding__a", dimension=2)
STAMP = Stamp(generation=1, digest="d" * 64, fencing=1)
READ = Read(fields=("title",), slots=(SLOT.name,))


def filled(engine: MemoryEngine) -> list[EmbeddingWrite]:
    """Put three documents in and return a write for each."""
    engine.create_index("shop", ["title"])
    engine.prepare_slot("shop", SLOT)
    documents = [Document(document_id=key, fields={"title": key}) for key in ("a", "b", "c")]
    engine.index_documents("shop", documents)
    (read,) = engine.scan("shop", READ)
    return [
        EmbeddingWrite(
            document_id=document.document_id,
            version=document.version,
            vector=np.ones(2, np.float32),
            stamp=STAMP,
        )
        for document in read
        if document.version is not None
    ]


def test_a_race_is_staged_by_writing_as_the_application_before_a_guarded_write() -> None:
    def edit(write: EmbeddingWrite) -> None:
        if write.document_id == "b":
            engine.update_fields("shop", "b", {"title": "edited"})

    engine = MemoryEngine(before_write=edit)
    results = engine.write_embeddings("shop", SLOT.name, filled(engine))
    assert [result.outcome for result in results] == ["written", "changed", "written"]


def test_an_outcome_is_staged_without_writing() -> None:
    engine = MemoryEngine(before_write=lambda _: Outcome.THROTTLED)
    results = engine.write_embeddings("shop", SLOT.name, filled(engine))
    assert {result.outcome for result in results} == {Outcome.THROTTLED}
    assert engine.coverage("shop", SLOT.name, 1).stamped == 0


def test_a_fault_in_the_middle_of_a_batch_keeps_what_was_written_before_it() -> None:
    def fail(write: EmbeddingWrite) -> None:
        if write.document_id == "b":
            raise EngineUnavailableError("the node is gone")

    engine = MemoryEngine(before_write=fail)
    writes = filled(engine)
    with pytest.raises(EngineUnavailableError):
        engine.write_embeddings("shop", SLOT.name, writes)
    assert engine.coverage("shop", SLOT.name, 1).stamped == 1


def test_every_call_can_be_made_to_fail() -> None:
    calls: list[str] = []

    def note(method: str, index: str) -> None:
        calls.append(f"{method} {index}")
        if method == "fence":
            raise EngineUnavailableError("the node is gone")

    engine = MemoryEngine(before_call=note)
    filled(engine)
    with pytest.raises(EngineUnavailableError):
        engine.fence("shop")
    assert calls == [
        "create_index shop",
        "prepare_slot shop",
        "index_documents shop",
        "scan shop",
        "fence shop",
    ]


def test_bm25_is_the_formula_counted_slowly() -> None:
    texts = {"1": "red red shoe", "2": "red hat", "3": "blue hat with a long brim", "4": ""}
    split = {key: text.split() for key, text in texts.items() if text}
    mean = sum(map(len, split.values())) / len(split)
    expected = {}
    for key, words in split.items():
        score = 0.0
        for word in ("red", "hat"):
            containing = sum(word in other for other in split.values())
            idf = math.log(1 + (len(split) - containing + 0.5) / (containing + 0.5))
            count = words.count(word)
            score += idf * count / (count + 1.2 * (0.25 + 0.75 * len(words) / mean))
        if score:
            expected[key] = score
    assert FieldIndex(texts).score("Red, HAT!") == pytest.approx(expected)


@pytest.mark.opensearch
def test_bm25_scores_are_those_of_opensearch(opensearch_url: str, index_prefix: str) -> None:
    texts = ["red shoe", "red red hat", "blue hat", "a shoe for running in red sand", "sand"]
    documents = [
        Document(document_id=str(number), fields={"title": text, "body": text[::-1] + " red"})
        for number, text in enumerate(texts)
    ]
    cluster = OpenSearchEngine(OpenSearchSettings(url=opensearch_url))
    answers = []
    for engine in (MemoryEngine(), cluster):
        index = f"{index_prefix}bm25"
        engine.create_index(index, ["title", "body"])
        engine.index_documents(index, documents)
        engine.fence(index)
        hits = engine.search_text(index, [("title", 2.0), ("body", 1.0)], "red hat sand", 10)
        answers.append({hit.document_id: hit.score for hit in hits})
    cluster.close()
    assert len(answers[0]) == 5
    assert answers[0] == pytest.approx(answers[1], rel=1e-4)
