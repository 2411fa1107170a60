"""A thousand marked people and texts go through a whole tune; none of the marks comes out."""

import json
import random
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import polars as pl
import pytest

from desireline.sidecar.answering import answering
from desireline.sidecar.http.app import create_app
from desireline.sidecar.learning.from_clicks import pull_sessions
from desireline.sidecar.learning.mining import mine_target
from desireline.sidecar.reports.answer_changes import kept_changes
from desireline.sidecar.reports.cycle_report import Outcome
from desireline.sidecar.reports.telemetry import configure_logs
from desireline.trainer.query_vectors import RememberingEncoder

TARGET = "jobs"
POPULAR, CLIENTS_EACH, CLICKS_EACH = 150, 8, 6


class Canaries:
    """Marks nobody would type: 250 of each sort."""

    def __init__(self, rng: random.Random) -> None:
        letters = "bcdfghjklmnpqrstvwxz"
        marks = {"".join(rng.choices(letters, k=12)) for _ in range(1200)}
        kinds = [sorted(marks)[n : n + 250] for n in range(0, 1000, 250)]
        self.rare, self.personal, self.clients, self.users = kinds

    @property
    def all(self) -> set[str]:
        return {*self.rare, *self.personal, *self.clients, *self.users}


def personal(mark: str, n: int) -> str:
    """Personal data of every kind, with the mark in or beside it."""
    return (
        f"{mark}@example.org",
        f"{mark} +49 30 12{n:05d}",
        f"{mark} 4111 1111 1111 1111",
        f"pay {mark} DE89 3704 0044 0532 0130 00",
        f"order 98765{n:05d} of {mark}",
    )[n % 5]


class Log:
    """A click log of yesterday and before, as a file."""

    def __init__(self, canaries: Canaries, rng: random.Random) -> None:
        self.records: list[dict[str, object]] = []
        self._clients = [f"client-{mark}" for mark in canaries.clients]
        self._users = canaries.users
        self._rng = rng

    def search(self, text: str, client: str, shown: list[str], clicked: str | None) -> None:
        n = len(self.records)
        at = datetime.now(UTC) - timedelta(days=1 + n % 25, seconds=n)
        about = {
            "query_id": f"q{n}",
            "client": client,
            "user_id": f"user-{self._rng.choice(self._users)}",
            "session_id": f"session-{self._rng.choice(self._users)}",
        }
        query = {"type": "query", "text": text, "at": at.isoformat(), "shown": shown}
        self.records.append(about | query)
        if clicked is not None:
            click = {"type": "click", "document_id": clicked, "position": shown.index(clicked) + 1}
            when = {"at": (at + timedelta(seconds=20)).isoformat(), "text": text}
            self.records.append(about | click | when)

    def clients(self, count: int) -> list[str]:
        return self._rng.sample(self._clients, count)

    def write(self, path: Path) -> None:
        path.write_text("".join(json.dumps(record) + "\n" for record in self.records))


def plant(product) -> Canaries:
    """Write a log in which enough people type the popular queries and too few the marked ones."""
    rng = random.Random(11)
    canaries = Canaries(rng)
    log = Log(canaries, rng)
    documents = [document.document_id for document in product.occupations.documents]
    truth = sorted(product.occupations.reported["train"].items())
    for text, grades in rng.sample(truth, POPULAR):
        right = next(iter(grades))
        for n, client in enumerate(log.clients(CLIENTS_EACH)):
            shown = [right, *rng.sample(documents, 5)]
            rng.shuffle(shown)
            log.search(text, client, shown, right if n < CLICKS_EACH else None)
    for n, mark in enumerate(canaries.rare):
        for client in log.clients(1 + n % 4):
            shown = rng.sample(documents, 5)
            log.search(f"{mark} job", client, shown, shown[0])
    for n, mark in enumerate(canaries.personal):
        for client in log.clients(CLIENTS_EACH):  # so many that only their kind keeps them out
            shown = rng.sample(documents, 5)
            log.search(personal(mark, n), client, shown, shown[0])
    log.write(product.folder / "clicks.ndjson")
    planted = (product.folder / "clicks.ndjson").read_text()
    assert all(mark in planted for mark in canaries.all)
    return canaries


def said_by_the_server(product) -> Iterator[str]:
    """Yield every page and every answer to a GET, signed in and with a key."""
    sidecar = product.sidecar
    key = sidecar.api_keys().create("everything", ["admin"])
    routes = create_app(sidecar, sidecar.api_keys())._routes
    paths = [
        re.sub(r"\(\?P<(\w+)>\[\^/\]\+\)", lambda name: argument(name[1]), route.path.pattern)
        for route in routes
        if route.method == "GET"
    ]
    with answering(sidecar, product.config.server, port=0) as server:
        with httpx.Client(base_url=server.url, follow_redirects=True, timeout=60) as browser:
            browser.post("/login", data={"key": key})
            answers = [browser.get(path.replace("\\", "")) for path in paths]
            assert any(TARGET in answer.text for answer in answers)
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as program:
            answers += [program.get(path.replace("\\", "")) for path in paths]
    assert sum(answer.status_code == 200 for answer in answers) > 5
    yield from (answer.text + str(answer.headers) for answer in answers)


def argument(name: str) -> str:
    return {"target": TARGET, "index": "jobs"}.get(name, "1")


def kept_on_disk(product) -> Iterator[tuple[Path, str]]:
    """Yield the bytes of every file but the log's own, and what is packed in them, as text."""
    for path in product.folder.rglob("*"):
        if not path.is_file() or path.name == "clicks.ndjson":
            continue
        yield path, path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            yield path, pl.read_parquet(path).write_ndjson()
        if path.suffix == ".sqlite":
            with sqlite3.connect(path) as connection:
                yield path, "\n".join(connection.iterdump())


def marks_in(text: str, marks: set[str]) -> set[str]:
    """Return the marks in a text, however their letters are written."""
    return set(re.findall(r"[bcdfghjklmnpqrstvwxz]{12}", text.lower())) & marks


@pytest.fixture
def tuned(make_product, silent, tmp_path, monkeypatch):
    """A product that went through a whole tune, and the marks in its log."""
    scratch = tmp_path / "scratch"  # in the product's folder, so what is left there is found
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    configure_logs(level=0, form="json")
    product = make_product(privacy="")
    canaries = plant(product)
    product.fill()
    product.sidecar.reindex(TARGET, None, silent)
    report = product.sidecar.tune(TARGET, silent)
    assert report.outcome in {Outcome.WENT_LIVE, Outcome.KEPT_INCUMBENT}, report.sentence
    assert report.candidate, "a cycle that trains nothing proves nothing"
    return product, canaries


def learned_from(product) -> Iterator[str]:
    """Yield what the cycle learned from, and what it tells of it."""
    sessions = pull_sessions(product.parts)
    live = product.parts.generations.live().fingerprint
    mining = mine_target(product.parts, sessions, RememberingEncoder(product.parts.encoder(live)))
    assert mining.pairs.pairs
    yield from (sessions.frame.write_ndjson(), repr(mining.pairs), repr(mining.found))
    told = (product.sidecar.read_logs(TARGET), product.sidecar.mine(TARGET))
    yield from (json.dumps(each, default=str) for each in told)


def test_marked_people_and_texts_appear_nowhere(tuned, capfd):
    product, canaries = tuned
    examples = kept_changes(product.parts.store, TARGET)
    assert examples["shown"] > 0, "examples that are all held back prove nothing"
    assert not marks_in(json.dumps([examples, product.sidecar.last_cycle(TARGET)]), canaries.all)
    product.sidecar.erase(TARGET, "client", f"client-{canaries.clients[0]}", by="a test")
    product.sidecar.erase(TARGET, "query", f"{canaries.rare[0]} job", by="a test")
    for said in (*learned_from(product), *said_by_the_server(product)):
        assert not marks_in(said, canaries.all)

    printed = "".join(capfd.readouterr())
    assert '"event": "click log pulled"' in printed
    assert not marks_in(printed, canaries.all)

    archived: set[str] = set()
    assert kept_changes(product.parts.store, TARGET) is None, "an erasure forgets the examples"
    for path, text in kept_on_disk(product):
        found = marks_in(text, canaries.all)
        if product.parts.archive.folder in path.parents:
            archived |= found
        else:
            assert not found, path
    # The archive alone may hold what few typed, for as long as `privacy.keep` says, and must:
    # else nobody could count how many typed it.
    assert archived == set(canaries.rare[1:])
