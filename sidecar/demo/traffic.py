"""An application that searches and writes while the index is embedded again and swapped.

Every answer is checked against the generation it names, and every acknowledged write is
looked for at the end.
"""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from desireline.connectors.documents import Document
from desireline.connectors.errors import DesirelineError
from desireline.connectors.search_engine import Application, Read, SearchEngine
from desireline.sidecar.target import Target

_WRITER_PREFIX = "demo-write-"
_BETWEEN_SEARCHES_S = 0.02
_BETWEEN_WRITES_S = 0.1
#: A score further from the cosine of the named generation's vectors is of another space.
_TOLERANCE = 5e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the proxy, as the application saw it."""

    text: str
    generation: int
    slot: str
    #: Best first: document_id and the engine's score.
    hits: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficReport:
    """What the application lived through."""

    searches: int
    failed: int
    empty: int
    #: Answers whose slot or scores do not belong to the generation they name.
    mixed: int
    #: Generations that answered, in order.
    generations: tuple[int, ...]
    writes: int
    #: Acknowledged writes whose last value was not there at the end, deletes included.
    lost: int

    def to_json(self) -> dict[str, object]:
        """Return plain values."""
        return asdict(self)


class HttpSearch:
    """Searches by `neural` clauses through the sidecar, as applications do."""

    def __init__(self, url: str, key: str, index: str, vector: str) -> None:
        self._address = f"{url}/{index}/_search"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._vector = vector

    def __call__(self, text: str) -> Answer:
        """Ask for ten documents. Raises OSError when the answer is not 200."""
        body = {
            "query": {"neural": {self._vector: {"query_text": text, "k": 10}}},
            "_source": False,
        }
        request = urllib.request.Request(  # noqa: S310 - our own server
            self._address, json.dumps(body).encode(), self._headers
        )
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - as above
            hits = json.load(response)["hits"]["hits"]
            return Answer(
                text=text,
                generation=int(response.headers["X-Desireline-Generation"]),
                slot=response.headers["X-Desireline-Field"],
                hits=tuple((hit["_id"], float(hit["_score"])) for hit in hits),
            )


class Traffic:
    """A searcher and a writer, each in a thread."""

    def __init__(
        self,
        *,
        search: Callable[[str], Answer],
        engine: SearchEngine,
        application: Application,
        index: str,
        queries: Sequence[str],
    ) -> None:
        self._search = search
        self._engine = engine
        self._application = application
        self._index = index
        self._queries = queries
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._keep_searching, self._keep_writing)
        ]
        self._answers: list[Answer] = []
        self._failed: list[str] = []
        #: Last acknowledged title of each document; None once its delete was acknowledged.
        self._acknowledged: dict[str, str | None] = {}
        self._writes = 0

    def start(self) -> None:
        """Begin, once."""
        for thread in self._threads:
            if thread.ident is None:
                thread.start()

    def answered_by(self, generation: int) -> int:
        """Count the answers of a generation so far."""
        return sum(answer.generation == generation for answer in list(self._answers))

    def stop(self, target: Target, *, scores_are_halved: bool) -> TrafficReport:
        """End both, check every answer and every write, and remove what was written."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        report = TrafficReport(
            searches=len(self._answers) + len(self._failed),
            failed=len(self._failed),
            empty=sum(not answer.hits for answer in self._answers),
            mixed=count_mixed(target, self._answers, scores_are_halved=scores_are_halved),
            generations=tuple(dict.fromkeys(answer.generation for answer in self._answers)),
            writes=self._writes,
            lost=self._lost(),
        )
        written = [key for key, title in self._acknowledged.items() if title is not None]
        self._application.delete_documents(self._index, written)
        return report

    def _keep_searching(self) -> None:
        number = 0
        while not self._stop.wait(_BETWEEN_SEARCHES_S):
            text = self._queries[number % len(self._queries)]
            number += 1
            try:
                self._answers.append(self._search(text))
            except (OSError, ValueError) as error:
                self._failed.append(str(error))

    def _keep_writing(self) -> None:
        """Write five documents, change the first, delete the second, and so on."""
        number = 0
        while not self._stop.wait(_BETWEEN_WRITES_S):
            number += 1
            key, title = f"{_WRITER_PREFIX}{number}", f"new occupation number {number}"
            try:
                self._application.index_documents(
                    self._index, [Document(document_id=key, fields={"title": title})]
                )
                self._acknowledge(key, title)
                if number % 5 == 0:
                    self._change_and_delete(number)
            except DesirelineError:
                continue  # not acknowledged, so not to be found

    def _change_and_delete(self, number: int) -> None:
        changed, deleted = f"{_WRITER_PREFIX}{number - 4}", f"{_WRITER_PREFIX}{number - 3}"
        title = f"changed occupation number {number}"
        self._application.update_fields(self._index, changed, {"title": title})
        self._acknowledge(changed, title)
        self._application.delete_documents(self._index, [deleted])
        self._acknowledge(deleted, None)

    def _acknowledge(self, key: str, title: str | None) -> None:
        self._acknowledged[key] = title
        self._writes += 1

    def _lost(self) -> int:
        wanted = [Document(document_id=key, fields={}) for key in self._acknowledged]
        found = {
            document.document_id: document.fields.get("title")
            for document in self._engine.fetch(self._index, wanted, Read(fields=("title",)))
        }
        return sum(found.get(key) != title for key, title in self._acknowledged.items())


def count_mixed(target: Target, answers: Sequence[Answer], *, scores_are_halved: bool) -> int:
    """Count answers that are not of the one generation they name.

    The best hit's score must be the cosine of the query's and the document's vector by that
    generation's encoder; OpenSearch tells (1 + cosine) / 2.
    """
    generations = {g.number: g for g in target.generations.all()}
    mixed = 0
    for number, generation in generations.items():
        named = [answer for answer in answers if answer.generation == number]
        mixed += sum(answer.slot != generation.slot for answer in named)
        right = [answer for answer in named if answer.slot == generation.slot]
        mixed += _of_another_space(
            target, generation.fingerprint, right, scores_are_halved=scores_are_halved
        )
    return mixed + sum(answer.generation not in generations for answer in answers)


def _of_another_space(
    target: Target,
    fingerprint: str,
    answers: Sequence[Answer],
    *,
    scores_are_halved: bool,
) -> int:
    """Compare scores, but for documents that the writer was changing."""
    asked = [
        (answer.text, *answer.hits[0])
        for answer in answers
        if answer.hits and not answer.hits[0][0].startswith(_WRITER_PREFIX)
    ]
    if not asked:
        return 0
    encoder = target.encoder(fingerprint)
    template = target.registry.get(fingerprint).text_template
    best = [Document(document_id=key, fields={}) for key in {key for _, key, _ in asked}]
    read = Read(fields=template.fields)
    texts = {
        d.document_id: template.render(d.fields)
        for d in target.engine.fetch(target.config.index, best, read)
    }
    queries = sorted({text for text, _, _ in asked})
    query_vectors = dict(zip(queries, encoder.encode_queries(queries), strict=True))
    vectors = dict(zip(texts, encoder.encode_documents(list(texts.values())), strict=True))
    return sum(
        abs(
            float(query_vectors[text] @ vectors[key])
            - (2 * score - 1 if scores_are_halved else score)
        )
        > _TOLERANCE
        for text, key, score in asked
        if key in vectors
    )
