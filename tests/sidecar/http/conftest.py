"""A small but real sidecar behind the server: memory engine, memory store, fake encoders."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from desireline.connectors.documents import Document, EmbeddingWrite, Stamp, TextTemplate, digest
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.logs.files import FileLogs, FileLogsConfig
from desireline.connectors.search_engine import Hit, Read, Slot
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.configuration.intent import IntentConfig
from desireline.sidecar.erasing.erasure import ErasureReport, Searched
from desireline.sidecar.errors import (
    EncoderUnknownError,
    NoGenerationError,
    NothingNamedError,
    RevertRefusedError,
    TargetUnknownError,
)
from desireline.sidecar.http.app import create_app
from desireline.sidecar.http.server import Server
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.ladder import choose
from desireline.sidecar.lease import LEASE
from desireline.sidecar.models.description import ModelDescription, described
from desireline.sidecar.models.records import ModelRecord
from desireline.sidecar.on_request.api_keys import ApiKeys
from desireline.sidecar.on_request.once import Once
from desireline.sidecar.reports.answer_changes import AnswerChanges, tell_changes
from desireline.sidecar.reports.cycle_report import (
    CycleReport,
    Interval,
    JudgedPart,
    LoggedClicks,
    Outcome,
    Rung,
    Step,
)
from desireline.sidecar.reports.log_reports import report_of
from desireline.sidecar.reports.telemetry import Metrics
from desireline.sidecar.serving.intent import Answered, Intents, answer
from desireline.sidecar.serving.live import ClusterAddress, LiveGeneration, TargetFields
from desireline.sidecar.steering.controls import Answer, Controls, Wish
from desireline.sidecar.steering.hand import run_view, steer
from desireline.sidecar.steering.run_status import RUN, RunStatus, last_run
from desireline.sidecar.steering.steps import Step as Reached
from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.judging.changes import largest_changes
from desireline.trainer.logs.figures import KnownQuery
from desireline.trainer.logs.health import LogHealth
from desireline.trainer.logs.readiness import Facts, readiness
from desireline.trainer.measures.base import parse
from desireline.trainer.sessions import to_sessions

SAMPLE = Path(__file__).parents[2] / "data" / "esci_ubi" / "ubi_queries_events.ndjson.gz"

FIELDS = TargetFields(
    vector="embedding",
    slots=("embedding__a", "embedding__b"),
    text=(("title", 2.0), ("description", 1.0)),
)

PARTS = {
    name: JudgedPart(
        measure="ndcg@10",
        queries=queries,
        before=before,
        after=round(before + gain, 3),
        gain=Interval(value=gain, low=gain - width, high=gain + width),
    )
    for name, queries, before, gain, width in (
        ("head", 41, 0.512, 0.061, 0.04),
        ("torso", 118, 0.447, 0.032, 0.025),
        ("tail", 260, 0.398, 0.021, 0.019),
        ("unseen query, seen document", 390, 0.43, 0.045, 0.017),
        ("unseen query, unseen document", 144, 0.211, -0.012, 0.03),
        ("seen query, seen document", 800, 0.61, 0.09, 0.011),
        ("seen query, unseen document", 95, 0.12, 0.004, 0.02),
        ("newest searches", 160, 0.41, 0.027, 0.03),
        *((f"topic {n} of 8", 20 + 9 * n, 0.4, 0.01 * n - 0.02, 0.05) for n in range(1, 9)),
        ("general suite, keywords", 300, 0.71, -0.031, 0.009),
        ("general suite, titles", 258, 0.83, -0.002, 0.008),
    )
}

LADDER = choose(
    [
        Rung(
            mode=mode,
            candidate=mode * 4,
            gain=Interval(value=gain, low=gain - 0.02, high=gain + 0.02),
            relative=gain / 0.43,
            promote=promote,
            reason=f"{mode} was judged",
            train_s=train_s,
            embed_documents=documents,
            embed_s=documents / 212,
            query_ms=3.1,
        )
        for mode, gain, promote, train_s, documents in (
            ("adapter", 0.018, True, 9.0, 0),
            ("query", 0.021, True, 95.0, 0),
            ("full", 0.046, True, 2_460.0, 48_194),
            ("small", 0.029, False, 3_100.0, 48_194),
        )
    ]
    + [Rung(mode="lora", reason="training took 2460 s for the cheaper mode, and 60 s are left")],
    epsilon=0.1,
    measure="ndcg@10",
)


def changes() -> AnswerChanges:
    """Two wins and a loss, one of them in a long query without a space."""
    names = [f"p{n}" for n in range(1, 26)]
    before = {"red running shoes": names[:20], "k" * 70: names[:20], "tea": names[:20]}
    after = {
        "red running shoes": [*names[14:20], *names[:14]],
        "k" * 70: [*names[20:25], *names[:15]],
        "tea": names[19::-1],
    }
    qrels = {
        "red running shoes": {"p15": 1.0, "p2": 0.5},
        "k" * 70: {"p21": 1.0},
        "tea": {"p1": 1.0},
    }
    titles = {name: f"{name}: a product with a title of its own" for name in names}
    measure = parse("ndcg@10")
    return tell_changes(
        largest_changes(before, after, qrels, measure=measure, most=5),
        judged=41,
        runs=(before, after),
        qrels=qrels,
        titles=titles | {"p16": "W" * 300, "p3": "<b>bold</b>"},
        measure=measure,
    )


CHANGES = changes()

NOON = datetime(2026, 5, 7, 12, 0, tzinfo=UTC)

CYCLE = CycleReport(
    target="products",
    cycle="20260507T020000.000000Z",
    outcome=Outcome.WENT_LIVE,
    reason="mrr@20 rose by 0.030 and the lower bound is above 0",
    started_at=datetime(2026, 5, 7, 2, 0, tzinfo=UTC),
    ended_at=datetime(2026, 5, 7, 2, 41, tzinfo=UTC),
    steps=tuple(
        Step(name=name, sentence=sentence, at=datetime(2026, 5, 7, 2, 1, tzinfo=UTC))
        for name, sentence in {
            "logs": "41,208 searches, 18,340 clicks over 61 days",
            "judgments": "9,127 pairs kept of 15,902 (PBM, perplexity 1.31)",
            "fit": "full tuning, 3 epochs of 143 steps",
            "backfill": "48,194 documents, 41,002 encoded, 7,192 unchanged",
            "cut-over": "generation 7 is live; 6 stays ready for 24 h",
        }.items()
    ),
    measures={
        ranker: {
            name: Interval(value=value, low=value - 0.03, high=value + 0.03)
            for name, value in zip(("mrr@20", "recall@20", "ndcg@20", "hit@10"), row, strict=True)
        }
        for ranker, row in {
            "bm25": (0.312, 0.561, 0.371, 0.532),
            "base": (0.402, 0.681, 0.455, 0.604),
            "incumbent": (0.431, 0.690, 0.481, 0.608),
            "candidate": (0.461, 0.722, 0.509, 0.611),
        }.items()
    },
    candidate="85ce08439019",
    generation=7,
    clicks=LoggedClicks(
        before=0.61,
        after=0.66,
        standard_errors=(0.011, 0.013),
        searches=3_920,
        effective=2_061.4,
        covered=0.74,
    ),
    parts=PARTS,
    ladder=LADDER,
    changes=CHANGES,
).to_json() | {
    "gain": {
        "mrr@20": {"value": 0.030, "low": 0.011, "high": 0.049},
        "recall@20": {"value": 0.032, "low": 0.012, "high": 0.051},
        "ndcg@20": {"value": 0.028, "low": 0.007, "high": 0.043},
        "hit@10": {"value": 0.003, "low": -0.011, "high": 0.025},
    }
}

DOCUMENTS = {
    "p1": {"title": "red running shoes", "description": "light shoes for the road"},
    "p2": {"title": "blue rain jacket", "description": "keeps the rain out"},
    "p3": {"title": "steel kettle", "description": "boils water for tea"},
    "p4": {"title": "tea pot", "description": "porcelain, for two cups of tea"},
}


@dataclass
class SmallSidecar:
    """One target `products` on the index `shop`; generation 7 is live, 6 is retained."""

    engine: MemoryEngine
    address: ClusterAddress | None = None
    index: str = "shop"
    live_number: int | None = 7
    #: Whose vectors the live generation searches; None: its own.
    vectors_of: int | None = None
    encoders: dict[int, FakeEncoder] = field(
        default_factory=lambda: {6: FakeEncoder(seed=6), 7: FakeEncoder(seed=7)}
    )
    target: str = "products"
    cycle: dict[str, Any] | None = None
    cycles_started: int = 0
    logs: dict[str, Any] | None = None
    readings: int = 0
    reading: bool = False
    failed: str = ""
    store: MemoryStore = field(default_factory=MemoryStore)
    reindexes: list[tuple[Any, ...]] = field(default_factory=list)
    erased: list[tuple[str, ...]] = field(default_factory=list)
    models: list[ModelRecord] = field(default_factory=list)
    pointer: dict[str, Any] | None = None
    #: Of the intent head; None where no intent is learned.
    intent: dict[str, Any] | None = None
    #: Of what queries mean: nothing, until a test appoints a head.
    heads: Intents = field(
        default_factory=lambda: Intents(
            target="products",
            config=IntentConfig(),
            appointed=lambda _encoder: None,
            load=lambda head: (_ for _ in ()).throw(AssertionError(head)),
        )
    )

    def targets(self) -> list[str]:
        return [self.target]

    def target_of_index(self, index: str) -> str | None:
        return self.target if index == self.index else None

    def fields(self, target: str) -> TargetFields:
        return FIELDS

    def live(self, target: str) -> LiveGeneration:
        if target != self.target:
            raise TargetUnknownError(f"no target is called {target!r}")
        if self.live_number is None:
            raise NoGenerationError(f"no generation of {target!r} is live yet")
        return self._generation(self.live_number)

    def cluster(self) -> ClusterAddress | None:
        return self.address

    def search(self, target: str, text: str, k: int) -> tuple[LiveGeneration, list[Hit]]:
        live = self.live(target)
        return live, live.search(self.engine, text, k)

    def answer(self, target: str, text: str, k: int) -> Answered:
        return answer(self.engine, self.live(target), self.heads, text, k)

    def intents(self, target: str) -> Intents:
        return self.heads

    def search_retained(
        self, target: str, text: str, k: int
    ) -> tuple[LiveGeneration, list[Hit]] | None:
        if self.live_number != 7:
            return None
        kept = self._generation(6)
        return kept, kept.search(self.engine, text, k)

    def search_text(self, target: str, field: str, text: str, k: int) -> list[Hit]:
        return self.engine.search_text(self.index, [(field, 1.0)], text, k)

    def generations(self, target: str) -> list[dict[str, Any]]:
        states = {7: "live", 6: "retained"} if self.live_number == 7 else {7: "retired", 6: "live"}
        return [
            {
                "number": number,
                "state": states[number],
                "slot": self._slot(number),
                "vectors_of": self.vectors_of if states[number] == "live" else None,
                "fingerprint": self.encoders[number].fingerprint,
                "parent": number - 1,
                "created_at": f"2026-05-0{number}T02:00:00+00:00",
                "cycle": f"2026-05-0{number}",
                "reason": "",
                "coverage": {"documents": len(DOCUMENTS), "stamped": len(DOCUMENTS)},
            }
            for number in (7, 6)
        ]

    def last_cycle(self, target: str) -> dict[str, Any] | None:
        return self.cycle

    def status(self, target: str) -> dict[str, Any]:
        told = {"generation": self.live_number, "state": "idle"}
        return told if self.pointer is None else told | {"pointer": self.pointer}

    def run(self, target: str) -> dict[str, Any]:
        return run_view(self.store, target, self.controls)

    def steer(self, target: str, wish: Wish, *, by: str, **more: Any) -> Answer:
        return steer(self.controls, target, wish, by=by, **more)

    def start_reindex(self, target: str, model: str | None, *, by: str, key=None, **more) -> str:
        def begin() -> str:
            if model not in (None, "known"):
                raise EncoderUnknownError(f"no encoder {model!r} is registered; nothing was begun")
            self.reindexes.append((target, model, by, more))
            return "the re-embedding of products has begun"

        asked = {"target": target, "model": model, **more}
        return begin() if key is None else Once(self.store, self.clock).answer(key, asked, begin)

    @property
    def controls(self) -> Controls:
        return Controls(self.store, self.target, clock=self.clock)

    def clock(self) -> datetime:
        return NOON

    def go(self, **fields: Any) -> None:
        """Be a run in another process: begin it, or change where it stands."""
        found = last_run(self.store, self.target)
        status = RunStatus(
            target=self.target,
            run="run 1",
            generation=8,
            way="slot",
            step=Reached.BATCH_WRITTEN,
            counting="backfill",
            done=12_050,
            total=48_194,
            rate=212.4,
            eta_s=170.2,
            started_at=NOON,
            host="search-1",
            pid=4242,
            fencing=3,
        )
        body = (found or status).model_copy(update=fields).model_dump(mode="json")
        self.store.put(RUN, self.target, body, expected=self.store.get(RUN, self.target))
        lease = {"owner": {"host": "search-1", "pid": 4242}, "fencing": 3, "beat": 1}
        self.store.put(LEASE, self.target, lease, expected=self.store.get(LEASE, self.target))
        self.controls.begin("run 1")

    def revert(self, target: str, to: int | None = None) -> str:
        if to == self.live_number:
            return f"generation {to} is live already"
        if self.live_number != 7:
            raise RevertRefusedError("there is no generation to go back to")
        self.live_number = 6
        return "generation 6 is live again"

    def erase(self, target: str, what: Any, named: str, *, by: str) -> ErasureReport:
        if not named.strip():
            raise NothingNamedError(f"no {what} was named; nothing was erased")
        found = 3 if (target, what, named) not in {entry[:3] for entry in self.erased} else 0
        self.erased.append((target, what, named, by))
        places = (Searched(place="event archive", found=found, left=0),)
        return ErasureReport(
            target=target, what=what, places=places, models=("f" * 64,), retrain=""
        )

    def log_report(self, target: str) -> dict[str, Any]:
        return {"report": self.logs, "reading": self.reading, "failed": self.failed}

    def start_log_reading(self, target: str) -> str:
        self.readings += 1
        already, self.reading = self.reading, True
        return f"the click log of {target} {'is read already' if already else 'is being read'}"

    def models_of(self, target: str) -> list[ModelDescription]:
        return described(self.models, target)

    def intent_standing(self, target: str) -> dict[str, Any] | None:
        return self.intent

    def start_cycle(self, target: str) -> str:
        self.cycles_started += 1
        return "a cycle was started" if self.cycles_started == 1 else "a cycle runs already"

    def _generation(self, number: int) -> LiveGeneration:
        encoder = self.encoders[number]
        return LiveGeneration(
            target=self.target,
            index=self.index,
            number=number,
            slot=self._slot(number),
            fingerprint=encoder.fingerprint,
            encoder=encoder,
            vectors_of=self.vectors_of,
        )

    def _slot(self, number: int) -> str:
        return FIELDS.slots[number % 2]


def embed(sidecar: SmallSidecar, number: int) -> None:
    """Fill the slot of a generation, as a backfill does."""
    slot, encoder = sidecar._slot(number), sidecar.encoders[number]
    sidecar.engine.prepare_slot(sidecar.index, Slot(name=slot, dimension=encoder.dimension))
    template = TextTemplate(fields=("title", "description"))
    for batch in sidecar.engine.scan(sidecar.index, Read(fields=template.fields)):
        texts = [template.render(document.fields) for document in batch]
        writes = [
            EmbeddingWrite(
                document_id=document.document_id,
                version=document.version,
                vector=vector,
                stamp=Stamp(generation=number, digest=digest(text), fencing=1),
            )
            for document, text, vector in zip(
                batch, texts, encoder.encode_documents(texts), strict=True
            )
        ]
        sidecar.engine.write_embeddings(sidecar.index, slot, writes)


@pytest.fixture
def sidecar() -> SmallSidecar:
    engine = MemoryEngine()
    engine.create_index("shop", ["title", "description"])
    engine.index_documents(
        "shop", [Document(document_id=key, fields=dict(body)) for key, body in DOCUMENTS.items()]
    )
    small = SmallSidecar(engine=engine)
    embed(small, 6)
    embed(small, 7)
    return small


@pytest.fixture
def cycle() -> dict[str, Any]:
    """A report of a cycle that went live, as the page gets it."""
    return deepcopy(CYCLE)


@pytest.fixture(scope="session")
def sample_health() -> LogHealth:
    """Health of the public UBI sample."""
    return to_sessions(FileLogs(FileLogsConfig(path=str(SAMPLE))).pull()).health


@pytest.fixture
def log_report(sample_health: LogHealth) -> dict[str, Any]:
    """The report on it as the page gets it, with one query that nobody ever clicks."""
    seen = replace(
        sample_health.figures,
        never_clicked=(KnownQuery(query="garden hose", searches=9, clients=7),),
    )
    few = Facts(clicks=116, placed=1.0, named=1.0, with_dwell=0.1, clients=214, days=17)
    ready = readiness(few)
    health = replace(
        sample_health, figures=seen, readiness=ready, tier=ready.tier, next_tier=ready.next_step
    )
    report = report_of("products", health, at=NOON, tune_from_clicks=50)
    return json.loads(json.dumps(report))


@pytest.fixture
def keys() -> ApiKeys:
    return ApiKeys(MemoryStore())


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def settings() -> HttpSettings:
    return HttpSettings()


@pytest.fixture
def server(
    sidecar: SmallSidecar, keys: ApiKeys, settings: HttpSettings, metrics: Metrics
) -> Iterator[Server]:
    with Server(create_app(sidecar, keys, settings, metrics), settings=settings) as started:
        yield started


@pytest.fixture
def anyone(server: Server) -> Iterator[httpx.Client]:
    """A client without a key."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture
def client(server: Server, keys: ApiKeys) -> Iterator[Callable[..., httpx.Client]]:
    """Return a client with a new key of these scopes."""
    opened: list[httpx.Client] = []

    def make(*scopes: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {keys.create('a test', scopes)}"}
        opened.append(httpx.Client(base_url=server.url, headers=headers, timeout=60))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def browser(server: Server, keys: ApiKeys) -> Iterator[Callable[..., httpx.Client]]:
    """Return a client that signed in on the page with a new key of these scopes."""
    opened: list[httpx.Client] = []

    def sign_in(*scopes: str) -> httpx.Client:
        opened.append(httpx.Client(base_url=server.url, timeout=60))
        opened[-1].post("/login", data={"key": keys.create("Ada", scopes)})
        return opened[-1]

    yield sign_in
    for each in opened:
        each.close()
