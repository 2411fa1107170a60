"""A target with a memory engine, users who click, and encoders that live in memory.

Documents, queries and answers are O*NET's, which ship with desireline; the clicks are SIMULATED.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from gating.word_table import word_table
from mining.static_encoder import Recipe, StaticEncoder, train

from desireline.connectors.documents import TextTemplate
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.search_engine import Hit
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.config import load_config
from desireline.sidecar.demo.occupations import TEXT_FIELDS, load_occupations
from desireline.sidecar.judging.evidence import Contest, HeldOutTruth, judge_candidate
from desireline.sidecar.learning.from_clicks import held_out_truth, split_sessions
from desireline.sidecar.reports.cycle_report import CycleReport, Diary
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.serving.encoders import EncoderPool
from desireline.sidecar.target import Target
from desireline.sidecar.wiring import open_sidecar
from desireline.sidecar.writing.embedding_cache import EmbeddingCache
from desireline.trainer.clickmodels.latent_relevance import LatentRelevance
from desireline.trainer.documents.pair_features import describe_pairs
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.encoders.settings import EncoderSettings
from desireline.trainer.evaluation import compare, evaluate, rank_exact
from desireline.trainer.gate import Verdict
from desireline.trainer.general.suite import builtin_suite
from desireline.trainer.judgments import judge
from desireline.trainer.measures.base import parse
from desireline.trainer.miners.base import Material, mine_all
from desireline.trainer.miners.clicked import Clicked
from desireline.trainer.models.manifest import Manifest, Provenance, Template
from desireline.trainer.pairs import PairSet
from desireline.trainer.registry import Registry
from desireline.trainer.sessions import Sessions, to_sessions
from desireline.trainer.simulation.users import SimulationConfig, simulate
from desireline.trainer.splits import Split

INDEX, NAME = "jobs", "jobs"
NOW = datetime(2025, 4, 14, 2, tzinfo=UTC)
MEASURE = parse("ndcg@10")
RECIPE = Recipe(steps=120, epochs=6.0, learning_rate=1.5e-2, hard_negatives=0)
_SETTINGS = """
data_dir = "data"
[targets.jobs]
index = "jobs"
text = ["title^2", "description"]
model = "words"
privacy = { mode = "local" }
logs = { kind = "files", path = "clicks.ndjson" }
[targets.jobs.tune]
mode = "full"
[targets.jobs.swap]
replica_wait = "0s"
hold = "0s"
"""


class Shelf(Registry):
    """A registry whose encoders are in memory: hundreds of candidates need no file."""

    def __init__(self, root: Path, template: TextTemplate) -> None:
        super().__init__(root)
        self.encoders: dict[str, Encoder] = {}
        self._template = template

    def put(self, encoder: Encoder) -> str:
        self.encoders[encoder.fingerprint] = encoder
        return encoder.fingerprint

    def get(self, fingerprint: str) -> Manifest:
        encoder = self.encoders[fingerprint]
        return Manifest(
            fingerprint=fingerprint,
            files={},
            settings=EncoderSettings(pooling="static", dimension=encoder.dimension),
            template=Template(fields=self._template.fields, separator=self._template.separator),
            provenance=Provenance(base_model="words"),
            created_at=NOW,
            documents=getattr(encoder, "documents", None),
        )

    def list(self) -> list[Manifest]:
        return [self.get(fingerprint) for fingerprint in self.encoders]

    def folder(self, fingerprint: str) -> Path:
        return self.root / fingerprint


class Remembering(MemoryEngine):
    """A memory engine that answers a query by words once: the documents never change here."""

    def __init__(self) -> None:
        super().__init__()
        self._answered: dict[tuple[object, ...], list[Hit]] = {}

    def search_text(
        self, index: str, fields: Sequence[tuple[str, float]], text: str, k: int
    ) -> list[Hit]:
        key = (index, tuple(fields), text, k)
        if key not in self._answered:
            self._answered[key] = super().search_text(index, fields, text, k)
        return self._answered[key]


@dataclass
class Night:
    """A log that users left while one encoder served, cut as a cycle cuts it."""

    sessions: Sessions
    split: Split
    truth: HeldOutTruth
    #: What was served.
    served: StaticEncoder


@dataclass
class Town:
    """One index, its people, and every encoder that was ever made for it."""

    folder: Path
    stack: ExitStack
    documents: dict[str, DocumentText] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.occupations = load_occupations()
        template = TextTemplate(fields=TEXT_FIELDS)
        self.documents = {
            each.document_id: DocumentText.of(each.fields, template)
            for each in self.occupations.documents
        }
        self.texts = {key: document.text for key, document in self.documents.items()}
        self.truth = {
            query: frozenset(grades)
            for query, grades in {
                **self.occupations.lay,
                **self.occupations.reported["train"],
            }.items()
        }
        self.suite = builtin_suite()
        self.base = word_table([*self.texts.values(), *self.truth, *self._suite_texts()])
        self.shelf = Shelf(self.folder / "models", template)
        self.target = self._target()
        self.shelf.put(self.base)

    def _suite_texts(self) -> list[str]:
        return [text for part in self.suite for text in (*part.documents.values(), *part.qrels)]

    def _target(self) -> Target:
        path = self.folder / "desireline.toml"
        path.write_text(_SETTINGS)
        sidecar = self.stack.enter_context(closing(open_sidecar(load_config(path))))
        engine = Remembering()
        engine.create_index(INDEX, list(TEXT_FIELDS))
        engine.index_documents(INDEX, self.occupations.documents)
        return replace(
            sidecar.parts(NAME),
            engine=engine,
            store=MemoryStore(),
            registry=self.shelf,
            encoders=EncoderPool(self.shelf.encoders.__getitem__, keep=10_000),
            cache=EmbeddingCache(self.folder / "cache"),
            clock=lambda: NOW,
            sleep=lambda _seconds: None,
        )

    def simulated(self, served: StaticEncoder, *, searches: int, seed: int) -> Any:
        return simulate(
            sorted(self.truth),
            self.truth,
            lambda queries: rank_exact(served, queries, self.texts, k=20),
            SimulationConfig(searches=searches, seed=seed),
        )

    def night(self, served: StaticEncoder, *, searches: int, seed: int) -> Night:
        """Let people use what is served, and cut what they did as a cycle does."""
        sessions = to_sessions(self.simulated(served, searches=searches, seed=seed).batches)
        return self.cut(sessions, served)

    def cut(self, sessions: Sessions, served: StaticEncoder) -> Night:
        split = split_sessions(self.target, sessions, self.diary())
        return Night(
            sessions=sessions, split=split, truth=held_out_truth(self.target, split), served=served
        )

    def diary(self) -> Diary:
        return Diary(MemoryStore(), NAME, SilentReporter(), lambda: NOW)

    def pairs(self, night: Night) -> PairSet:
        """Mine what the training part says, as a cycle with the miner `clicked` does."""
        frame = night.split.train.frame
        features = describe_pairs(frame, self.documents, night.served)
        judgments = judge(night.split.train, LatentRelevance(), features)
        return mine_all(
            Material(sessions=night.split.train, judgments=judgments, documents=self.documents),
            [Clicked()],
        )

    def tuned(self, pairs: PairSet, *, seed: int, recipe: Recipe = RECIPE) -> StaticEncoder:
        return train(self.base, pairs, recipe, seed=seed)

    def judged(
        self, candidate: Encoder, incumbent: Encoder, night: Night
    ) -> tuple[Verdict, CycleReport]:
        """Ask the gate as a cycle does."""
        for encoder in (candidate, incumbent):
            self.shelf.put(encoder)
        contest = Contest(
            candidate=candidate.fingerprint,
            incumbent=incumbent.fingerprint,
            base=self.base.fingerprint,
        )
        diary = self.diary()
        return judge_candidate(self.target, contest, night.truth, diary), diary.report

    def true_gain(self, candidate: Encoder, incumbent: Encoder) -> tuple[float, float, float]:
        """Mean and interval on test queries nobody clicked for: the answers are known."""
        test = {
            query: dict.fromkeys(right, 1.0)
            for query, right in self.occupations.reported["test"].items()
        }
        after, before = (
            evaluate(rank_exact(each, sorted(test), self.texts, k=20), test, [MEASURE])
            for each in (candidate, incumbent)
        )
        gain = compare(after, before).of(MEASURE).gain
        return gain.mean, gain.low, gain.high


def tables(encoder: StaticEncoder) -> Mapping[str, int]:
    """Return the row of each word."""
    found: dict[str, int] = encoder.tokenizer.get_vocab()
    return found


def with_table(encoder: StaticEncoder, table: np.ndarray[Any, Any]) -> StaticEncoder:
    return StaticEncoder(np.ascontiguousarray(table, dtype=np.float32), encoder.tokenizer)
