"""An application over HTTP: it writes, reads back, searches, and knows what it may find."""

import http.client
import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from load_history import ABSENT, History, Kind, State, Violation

_WORDS = ("the", "red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer", "of")
_KINDS = (Kind.UPDATE, Kind.INDEX, Kind.DELETE)
_WEIGHTS = (70, 20, 10)
#: A bulk in so many is followed by a look at what some keys hold.
_LOOKS = 8
_LOOKED_AT = 50
_TOLERANCE = 5e-3
_CHANGED_MEANWHILE = {"retry_on_conflict": 5}


class Connection:
    """One connection to the cluster, opened again after an error."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def call(self, method: str, path: str, body: bytes = b"") -> Any:
        """Return the JSON answer. Raises OSError or HTTPException without one."""
        headers = {"content-type": "application/x-ndjson"}
        try:
            self._connection.request(method, path, body=body, headers=headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        if answer.status >= 300:
            raise OSError(f"{path}: {answer.status}: {content[:200]!r}")
        return json.loads(content)

    def close(self) -> None:
        self._connection.close()


@dataclass(slots=True, kw_only=True)
class Writer:
    """Writes its own keys in bulk, each value once, and looks at them in between."""

    name: str
    url: str
    index: str
    keys: int
    batch: int
    seed: int
    #: Asked before each bulk; false ends the work.
    goes_on: Callable[[int], bool]
    history: History = field(default_factory=History)
    violations: dict[str, Violation] = field(default_factory=dict)
    #: What was found where it must not be, in words.
    seen: list[str] = field(default_factory=list)
    looked_at: int = 0
    failure: Exception | None = None

    def work(self) -> None:
        """Write until told to stop. An error of the writer itself is kept for the judge."""
        connection = Connection(self.url)
        try:
            self._write(connection, random.Random(self.seed))
        except Exception as error:  # noqa: BLE001 - a thread; whoever waits for it raises it
            self.failure = error
        finally:
            connection.close()

    def _write(self, connection: Connection, chance: random.Random) -> None:
        values = itertools.count(1)
        names = [f"{self.name}-{number}" for number in range(self.keys)]
        for bulk in itertools.count(1):
            if not self.goes_on(sum(self.history.acknowledged.values())):
                return
            sure = [name for name in names if not self.history.key(name).unsure]
            chosen = chance.sample(sure, min(self.batch, len(sure)))
            operations = [self._choose(name, next(values), chance) for name in chosen]
            self._send(connection, operations, chance)
            if bulk % _LOOKS == 0:
                self.look(connection, chance.sample(sure, min(_LOOKED_AT, len(sure))))

    def _choose(self, name: str, value: int, chance: random.Random) -> tuple[str, Kind, int]:
        if ABSENT in self.history.key(name).possible:
            return name, Kind.INDEX, value
        return name, chance.choices(_KINDS, _WEIGHTS)[0], value

    def _send(
        self,
        connection: Connection,
        operations: Sequence[tuple[str, Kind, int]],
        chance: random.Random,
    ) -> None:
        body = b"".join(_line(*operation, chance) for operation in operations)
        path = f"/{self.index}/_bulk?filter_path=errors,items.*.status"
        try:
            items = connection.call("POST", path, body)["items"]
        except (OSError, http.client.HTTPException):
            for operation in operations:
                self.history.leave_unsure(*operation)
            return
        for operation, item in zip(operations, items, strict=True):
            self._note(operation, next(iter(item.values()))["status"])

    def _note(self, operation: tuple[str, Kind, int], status: int) -> None:
        if status < 300:
            self.history.acknowledge(*operation)
        elif status < 500:
            self.history.refuse(operation[0])
        else:
            self.history.leave_unsure(*operation)

    def look(self, connection: Connection, names: Sequence[str]) -> None:
        """Compare what these keys hold now with what they may hold."""
        body = json.dumps({"ids": list(names)}).encode()
        # With segment replication a replica answers from its last segments, even in real time.
        path = f"/{self.index}/_mget?preference=_primary&_source_includes=born,changed"
        found = {held["_id"]: _state(held) for held in connection.call("POST", path, body)["docs"]}
        self.looked_at += len(found)
        for name, violation in self.history.judge(found).items():
            self.violations[name] = violation
            possible = set(self.history.key(name).possible)
            self.seen.append(f"{name} {violation}: found {found[name]}, not {possible}")

    def look_at_all(self) -> None:
        """Compare every key ever written."""
        connection = Connection(self.url)
        names = list(self.history.keys)
        for start in range(0, len(names), 500):
            self.look(connection, names[start : start + 500])
        connection.close()


def _line(name: str, kind: Kind, value: int, chance: random.Random) -> bytes:
    action: dict[str, Any] = {"_id": name}
    fields = {"changed": value, "title": f"{' '.join(chance.choices(_WORDS, k=4))} {value}"}
    if kind is Kind.DELETE:
        return json.dumps({"delete": action}).encode() + b"\n"
    if kind is Kind.INDEX:
        body: dict[str, Any] = {"born": value, **fields}
    else:
        action |= _CHANGED_MEANWHILE
        body = {"doc": fields}
    return b"\n".join((json.dumps({kind.value: action}).encode(), json.dumps(body).encode(), b""))


def _state(held: dict[str, Any]) -> State | None:
    if not held.get("found"):
        return ABSENT
    source = held.get("_source", {})
    return State(born=source.get("born", -1), changed=source.get("changed", -1))


Hits = Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one search found: document ids with scores."""

    #: Of the generation that answered.
    number: int
    fingerprint: str
    hits: Hits
    #: Asks the same generation again for so many documents that the cluster compares with all.
    exactly: Callable[[], Hits]


@dataclass(slots=True, kw_only=True)
class Searcher:
    """Searches without a pause; each answer must be whole and of one generation."""

    search: Callable[[str], Found]
    #: By fingerprint and query: the right score of each document that nobody changes.
    right: dict[str, dict[str, dict[str, float]]]
    stop: threading.Event
    searches: int = 0
    empty: int = 0
    mixed: list[str] = field(default_factory=list)
    #: Answers without a document that is there, in its slot, with its stamp: between deleted
    #: documents no edge of Lucene's graph led to it, and an exact search finds it.
    unreached: int = 0
    failed: list[str] = field(default_factory=list)
    #: By generation.
    answers: Counter[int] = field(default_factory=Counter)

    def work(self) -> None:
        for text in self._texts():
            self.searches += 1
            try:
                found = self.search(text)
                wrong = self._wrong(found, text)
            except Exception as error:  # noqa: BLE001 - whatever it was, a search failed
                self.failed.append(f"{type(error).__name__}: {error}")
                continue
            self.answers[found.number] += 1
            self.empty += not found.hits
            if wrong:
                self.mixed.append(f"generation {found.number}, {text!r}: {wrong}")

    def _texts(self) -> Iterator[str]:
        texts = list(next(iter(self.right.values())))
        for number in itertools.count():
            if self.stop.is_set():
                return
            yield texts[number % len(texts)]

    def _wrong(self, found: Found, text: str) -> str:
        """Say why the scores are not those of the named generation's encoder; empty if they are.

        The document of the query's own text is never changed, so that the best score is 1.
        """
        right = self.right[found.fingerprint][text]
        if not found.hits or (wrong := _foreign(found.hits, right)):
            return wrong if found.hits else ""
        if found.hits[0][1] >= 1 - _TOLERANCE:
            return ""
        exact = found.exactly()
        if exact and exact[0][1] >= 1 - _TOLERANCE and not _foreign(exact, right):
            self.unreached += 1
            return ""
        best = found.hits[0][1]
        return f"the best score is {best:.4f}, the document of this very text is missing"


def _foreign(hits: Hits, right: dict[str, float]) -> str:
    """Say which document has a score that is not this encoder's."""
    for key, score in hits:
        if key in right and abs(score - right[key]) > _TOLERANCE:
            return f"{key} scores {score:.4f}, not {right[key]:.4f}"
    return ""
