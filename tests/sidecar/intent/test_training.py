"""The night's head: learned, judged, appointed for its encoder alone, or told why not."""

import dataclasses
import random
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from desireline.connectors.documents import Document
from desireline.connectors.events import Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.sidecar.config import load_config
from desireline.sidecar.erasing import retraining
from desireline.sidecar.intent.training import learn_intent
from desireline.sidecar.judging.evidence import HeldOutTruth
from desireline.sidecar.learning.documents_alone import Teaching
from desireline.sidecar.models.intent_records import head_for, heads_of, sweep_heads
from desireline.sidecar.reports.cycle_report import Diary
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.serving.encoders import EncoderPool
from desireline.sidecar.wiring import open_sidecar
from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.intent.apart import learn_apart
from desireline.trainer.pairs import Pair, PairSet, Passage
from desireline.trainer.sessions import to_sessions

OLD, NEW = FakeEncoder(seed=0), FakeEncoder(seed=1)
WORDS = {"shoes": ("boot", "sandal", "heel"), "tea": ("pot", "leaf", "cup")}
NOW = datetime(2026, 11, 22, tzinfo=UTC)


class InThisProcess:
    """In the place of the child process: does the job here."""

    def run(self, job, reporter):
        return learn_apart(job)


@pytest.fixture
def parts(tmp_path):
    with opened(tmp_path) as found:
        yield found


@contextmanager
def opened(folder, intent: str = 'category = "kind"'):
    path = folder / "desireline.toml"
    path.write_text(
        '[cluster]\nengine = "lancedb"\n[targets.shop]\nindex = "shop"\ntext = ["title"]\n'
        f"[targets.shop.intent]\n{intent}\n"
    )
    ticks = count()
    with closing(
        open_sidecar(load_config(path), clock=lambda: NOW + timedelta(seconds=next(ticks)))
    ) as sidecar:
        parts = sidecar.parts("shop")
        parts.engine.create_index("shop", ["title"])
        documents = [
            Document(document_id=word, fields={"title": f"the {word}", "kind": kind})
            for kind, words in WORDS.items()
            for word in words
        ]
        parts.engine.index_documents("shop", documents)
        known = {encoder.fingerprint: encoder for encoder in (OLD, NEW)}
        pool = EncoderPool(known.__getitem__, keep=5)
        yield dataclasses.replace(parts, worker=InThisProcess(), encoders=pool)


def queries(count: int, *, seed: int) -> list[tuple[str, str]]:
    """Queries of three words, of which one says what is meant; and the document clicked."""
    chance = random.Random(seed)
    words = [word for of_kind in WORDS.values() for word in of_kind]
    found = {}
    while len(found) < count:
        word = chance.choice(words)
        found[f"{word} {chance.randrange(90)} {chance.randrange(90)}"] = word
    return list(found.items())


def teaching(*, taught: int = 120, asked: int = 80, wrong: bool = False) -> Teaching:
    """Pairs and held-out queries; the wrong truth knows nothing of the words."""
    lessons = queries(taught, seed=1)
    pairs = tuple(
        Pair(anchor=query, positive=Passage(word, f"the {word}"), source="clicked")
        for query, word in lessons
    )
    held = queries(asked, seed=2)
    if wrong:
        held = [(query, random.Random(query).choice(["boot", "pot"])) for query, _ in held]
    searches = [
        Query(query_id=f"q{n}", text=query, client=f"client {n}", at=NOW, shown=("boot", "pot"))
        for n, (query, _) in enumerate(lessons)
    ]
    return Teaching(
        pairs=PairSet(pairs=pairs, related={}),
        truth=HeldOutTruth(qrels={query: {word: 1.0} for query, word in held}, segments={}),
        sessions=to_sessions([LogBatch(queries=tuple(searches), cursor=Cursor("1"))]),
    )


def night(parts, taught: Teaching, encoder=OLD, incumbent=OLD) -> str:
    diary = Diary(parts.store, parts.name, SilentReporter(), parts.clock)
    learn_intent(parts, taught, encoder.fingerprint, incumbent.fingerprint, diary)
    return " | ".join(step.sentence for step in diary.report.steps if step.name == "intent")


def test_a_head_is_learned_judged_and_appointed(parts) -> None:
    told = night(parts, teaching())
    assert told.startswith("a new head serves: accuracy 0.9")
    assert "on 80 held-out queries, 0.5" in told
    assert "sure of " in told
    head, manifest = heads_of(parts).load(head_for(parts, OLD.fingerprint))
    assert (manifest.queries, manifest.titles, manifest.categories) == (120, 6, ("shoes", "tea"))
    (intent,) = head.read(OLD.encode_queries(["leaf 1 2"]), min_confidence=0.5, most=2)
    assert intent.categories == ("tea",)


def test_the_next_night_compares_with_the_head_that_serves_and_replaces_it(parts) -> None:
    night(parts, teaching(taught=60))
    first = head_for(parts, OLD.fingerprint)
    told = night(parts, teaching())
    second = head_for(parts, OLD.fingerprint)
    assert "against the head that serves, log-loss" in told
    assert second != first
    assert sweep_heads(parts) == sorted([first, second])
    assert heads_of(parts).list() == []


def test_a_head_that_learned_nothing_is_not_used_and_the_former_one_stays(parts) -> None:
    night(parts, teaching())
    before = head_for(parts, OLD.fingerprint)
    told = night(parts, teaching(wrong=True))
    assert told.startswith("the new head is not used: it is not surely right more often")
    assert head_for(parts, OLD.fingerprint) == before
    assert heads_of(parts).list() == [before]


def test_another_encoder_gets_a_head_of_its_own_and_the_old_one_keeps_its(parts) -> None:
    night(parts, teaching())
    before = head_for(parts, OLD.fingerprint)
    told = night(parts, teaching(), encoder=NEW, incumbent=OLD)
    assert "against the head that serves" in told
    after = head_for(parts, NEW.fingerprint)
    assert head_for(parts, OLD.fingerprint) == before != after
    assert heads_of(parts).load(after)[0].encoder == NEW.fingerprint


@pytest.mark.parametrize(
    ("taught", "said"),
    [
        (teaching(taught=20), "20 queries with a category are too few; 50 are needed"),
        (teaching(asked=0), "no held-out query led to a document with a category"),
        (teaching(asked=5), "5 held-out queries prove nothing"),
    ],
)
def test_with_too_little_no_head_is_made_and_it_is_said_why(parts, taught, said) -> None:
    assert said in night(parts, taught)
    assert head_for(parts, OLD.fingerprint) is None


@pytest.mark.parametrize(
    ("intent", "said"),
    [
        ("", ""),
        ('category = "absent"', "no document of shop has a field 'absent'"),
        ('category = "title"', "accuracy"),
    ],
)
def test_a_field_that_is_no_category_ends_nothing_else(tmp_path, intent, said) -> None:
    with opened(tmp_path, intent) as parts:
        told = night(parts, teaching())
    assert said in told
    assert bool(told) == bool(said)


def test_what_is_erased_while_the_head_learns_is_in_no_head_that_serves(parts) -> None:
    taught = teaching()
    one = taught.pairs.pairs[0].anchor
    retraining.ask(parts, parts.privacy.trained_on.digests(queries=[one]))
    assert "what it learned from was erased meanwhile" in night(parts, taught)
    assert head_for(parts, OLD.fingerprint) is None
    assert heads_of(parts).list() == []


def test_clients_that_taught_a_head_are_noted_and_others_are_not(parts) -> None:
    night(parts, teaching())
    (head,) = heads_of(parts).list()
    noted = parts.privacy.trained_on
    assert noted.learned(head, noted.digests(clients=["client 3"]))
    assert not noted.learned(head, noted.digests(clients=["client 300"]))
    retraining.sweep_notes(parts)
    assert noted.learned(head, noted.digests(clients=["client 3"]))
