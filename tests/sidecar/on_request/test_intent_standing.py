"""Where a target stands: its intent head with what its cycle measured, its cycle under way."""

from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest

from desireline.sidecar.config import load_config
from desireline.sidecar.generations import Pointer
from desireline.sidecar.lease import hold_lease
from desireline.sidecar.models.intent_records import appoint, heads_of
from desireline.sidecar.on_request.intent_standing import intent_standing
from desireline.sidecar.on_request.standing import last_cycle
from desireline.sidecar.reports.cycle_report import Diary, Outcome
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.wiring import open_sidecar
from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.intent.head import IntentHead
from desireline.trainer.intent.storing import IntentManifest

pytest.importorskip("lancedb", reason="needs desireline[lancedb]")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ENCODER = FakeEncoder(seed=0)
FIGURES = {"all": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}}


@pytest.fixture
def parts(tmp_path):
    path = tmp_path / "desireline.toml"
    path.write_text(
        '[cluster]\nengine = "lancedb"\n[targets.shop]\nindex = "shop"\ntext = ["title"]\n'
        '[targets.shop.intent]\ncategory = "kind"\nuse = "boost"\n'
        '[targets.plain]\nindex = "plain"\ntext = ["title"]\n'
    )
    with closing(open_sidecar(load_config(path), clock=lambda: NOON)) as sidecar:
        yield sidecar.parts("shop"), sidecar.parts("plain")


def put_live(target) -> None:
    generation = target.generations.create(
        index="shop",
        slot="embedding__a",
        dimension=ENCODER.dimension,
        similarity=ENCODER.similarity,
        fingerprint=ENCODER.fingerprint,
        created_at=NOON,
    )
    pointer = Pointer(generation=generation.number, changed_at=NOON, fencing=1)
    target.generations.point(pointer, expected=None)


def learn(target, cycle: str) -> IntentManifest:
    head = IntentHead(
        encoder=ENCODER.fingerprint,
        categories=("shoes", "tea"),
        weights=np.ones((ENCODER.dimension, 2), dtype=np.float32),
        bias=np.zeros(2, dtype=np.float32),
        temperature=1.0,
    )
    manifest = IntentManifest.of(
        head,
        target=target.name,
        field="kind",
        filter_field="kind",
        cycle=cycle,
        queries=120,
        titles=6,
        seed=7,
        created_at=NOON,
        figures=FIGURES,
    )
    heads_of(target).add(head, manifest)
    appoint(target, ENCODER.fingerprint, manifest.head)
    return manifest


def night(target, sentence: str) -> str:
    diary = Diary(target.store, target.name, SilentReporter(), target.clock)
    diary.step("intent", sentence)
    diary.end(Outcome.KEPT_INCUMBENT, "no gain")
    return diary.cycle


def test_a_target_without_a_category_has_no_standing(parts) -> None:
    assert intent_standing(parts[1]) is None


def test_before_anything_serves_and_before_a_head_does_the_reason_is_told(parts) -> None:
    target, _ = parts
    assert "no generation is live yet" in intent_standing(target)["missing"]
    put_live(target)
    found = intent_standing(target)
    assert f"no head serves with the encoder {ENCODER.fingerprint[:12]} yet" in found["missing"]
    assert (found["head"], found["verdict"], found["last"]) == (None, None, None)


def test_the_head_that_serves_tells_what_its_own_cycle_measured_and_said(parts) -> None:
    target, _ = parts
    put_live(target)
    cycle = night(target, "a new head serves: better")
    manifest = learn(target, cycle)
    found = intent_standing(target)
    assert found["head"]["figures"] == FIGURES
    assert (found["head"]["head"], found["head"]["categories"]) == (manifest.head, 2)
    assert found["verdict"]["sentence"] == "a new head serves: better"
    assert found["last"] == found["verdict"]
    assert (found["field"], found["use"], found["missing"]) == ("kind", "boost", "")


def test_a_head_that_cannot_be_read_is_told_and_breaks_nothing(parts) -> None:
    target, _ = parts
    put_live(target)
    manifest = learn(target, "20261121")
    heads_of(target).remove(manifest.head)
    found = intent_standing(target)
    assert "is not on this machine" in found["missing"]
    assert found["head"] is None


def test_a_cycle_under_way_has_progress_and_the_beat_of_its_owner(parts) -> None:
    target, _ = parts
    with hold_lease(target.store, target.name, ttl_s=3600.0):
        diary = Diary(target.store, target.name, SilentReporter(), target.clock)
        diary.progress("fit", 3, 10)
        found = last_cycle(target)
        assert (found["progress"]["done"], found["progress"]["total"]) == (3, 10)
        assert found["beat"] is not None
    assert last_cycle(target)["beat"] is None, "nobody owns it, and it never said that it ended"
    diary.end(Outcome.NOTHING_TO_DO, "too few clicks")
    assert "progress" not in last_cycle(target)
