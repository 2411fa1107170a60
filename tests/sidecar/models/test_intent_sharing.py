"""A head that one machine made serves on another; a dead or hostile registry stops nobody."""

import dataclasses
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from desireline.sidecar.config import load_config
from desireline.sidecar.models.intent_records import (
    appoint,
    dismiss,
    head_for,
    heads_of,
    intents_of,
    sweep_heads,
)
from desireline.sidecar.models.intent_sharing import HeadExchange, heads_still_shared
from desireline.sidecar.models.signing_keys import make_key
from desireline.sidecar.wiring import open_sidecar
from desireline.trainer.errors import IntentHeadMissingError
from desireline.trainer.intent.head import IntentHead
from desireline.trainer.intent.storing import IntentManifest

ENCODER = "e" * 64
NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Machines:
    """Sidecars over one state store and one shared registry, each with its own disk."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._store = None
        self.now = NOW

    def open(self, name: str, registry: str = ""):
        folder = self._folder / name
        folder.mkdir()
        path = folder / "desireline.toml"
        path.write_text(
            '[cluster]\nengine = "lancedb"\n[targets.shop]\nindex = "shop"\n'
            'text = ["title"]\n[targets.shop.intent]\ncategory = "kind"\n'
            f'[registry]\nurl = "{self.url}"\n{registry}\n'
        )
        sidecar = self._stack.enter_context(closing(open_sidecar(load_config(path))))
        parts = sidecar.parts("shop")
        self._store = self._store or parts.store
        return dataclasses.replace(parts, store=self._store, clock=lambda: self.now)

    @property
    def url(self) -> str:
        return f"file://{self._folder}/shared"

    def shared(self, head: str = "", name: str = "") -> Path:
        return self._folder.joinpath("shared", "intent", "shop", head, name)


@pytest.fixture
def machines(tmp_path):
    with ExitStack() as stack:
        yield Machines(tmp_path, stack)


def made(parts, number: int = 0, at: datetime = NOW) -> str:
    """Let a machine make a head and appoint it."""
    weights = np.random.default_rng(number).standard_normal((4, 2)).astype(np.float32)
    head = IntentHead(
        encoder=ENCODER,
        categories=("shoes", "tea"),
        weights=weights,
        bias=np.zeros(2, dtype=np.float32),
        temperature=1.0,
    )
    manifest = IntentManifest.of(
        head,
        target="shop",
        field="kind",
        filter_field="kind",
        cycle="c",
        queries=2,
        titles=0,
        seed=0,
        created_at=at,
    )
    heads_of(parts).add(head, manifest)
    appoint(parts, ENCODER, manifest.head)
    return manifest.head


def exchanged(*machines) -> None:
    for parts in machines:
        HeadExchange({"shop": parts}).exchange()


def test_a_head_made_on_one_machine_serves_on_another_without_a_restart(machines) -> None:
    ours, theirs = machines.open("ours"), machines.open("theirs")
    head = made(ours)
    serving = intents_of(theirs)
    with capture_logs() as logs:
        for _ in range(3):
            serving.refresh(ENCODER)
    assert serving._heads == {ENCODER: None}
    told = [log for log in logs if log["log_level"] == "warning"]
    assert len(told) == 1, "told once, though looked for again and again"
    exchanged(ours, theirs)
    serving.refresh(ENCODER)
    assert serving._heads[ENCODER].manifest == heads_of(ours).load(head)[1]
    assert head_for(theirs, ENCODER) == head


def test_what_is_shared_already_is_not_sent_again(machines) -> None:
    ours, theirs = machines.open("ours"), machines.open("theirs")
    head = made(ours)
    exchanged(ours, theirs)
    files = list(machines.shared(head).iterdir())
    before = {path: path.stat().st_mtime_ns for path in files}
    exchanged(ours, theirs)
    assert {path: path.stat().st_mtime_ns for path in machines.shared(head).iterdir()} == before


def test_models_are_found_beside_heads_as_before(machines) -> None:
    ours = machines.open("ours")
    made(ours)
    exchanged(ours)
    assert ours.registry.shared.fingerprints() == []


@pytest.mark.parametrize("file", ["head.safetensors", "intent.json"])
def test_an_upload_that_died_is_no_head_and_is_sent_again(machines, file) -> None:
    ours, theirs = machines.open("ours"), machines.open("theirs")
    head = made(ours)
    exchanged(ours)
    machines.shared(head, "intent.json").unlink()
    machines.shared(head, file).unlink(missing_ok=True)
    exchanged(theirs)
    assert heads_of(theirs).list() == []
    exchanged(ours, theirs)
    assert heads_of(theirs).list() == [head]


def changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("file", ["head.safetensors", "intent.json"])
def test_a_head_that_somebody_changed_is_not_taken(machines, file) -> None:
    ours, theirs = machines.open("ours"), machines.open("theirs")
    head = made(ours)
    exchanged(ours)
    changed(machines.shared(head, file))
    with capture_logs() as logs:
        exchanged(theirs)
    assert heads_of(theirs).list() == []
    assert "not as it was stored" in logs[0]["reason"]


def test_a_head_of_another_target_is_not_taken(machines) -> None:
    ours, theirs = machines.open("ours"), machines.open("theirs")
    head = made(ours)
    exchanged(ours)
    path = machines.shared(head, "intent.json")
    path.write_text(path.read_text().replace('"target": "shop"', '"target": "bank"'))
    with capture_logs() as logs:
        exchanged(theirs)
    assert heads_of(theirs).list() == []
    assert "is of the target 'bank'" in logs[0]["reason"]


def test_where_signatures_are_asked_for_an_unsigned_or_altered_description_is_not_taken(
    machines, tmp_path
) -> None:
    key = tmp_path / "signing.pem"
    public = make_key(key)
    ours = machines.open("ours", f'signing_key_file = "{key}"')
    strict = f'trusted_keys = ["{public.text}"]\nrequire_signature = true'
    theirs = machines.open("theirs", strict)
    unsigned = machines.open("unsigned")
    first = made(unsigned, 1)
    exchanged(unsigned)
    with capture_logs() as logs:
        exchanged(theirs)
    assert "signed by none of the 1 keys" in logs[0]["reason"]
    second = made(ours, 2)
    exchanged(ours)
    path = machines.shared(second, "intent.json")
    honest = path.read_text()
    path.write_text(honest.replace('"filter_field": "kind"', '"filter_field": "secret"'))
    exchanged(theirs)
    assert heads_of(theirs).list() == []
    path.write_text(honest)
    exchanged(theirs)
    assert heads_of(theirs).list() == [second] != [first]


def test_a_dead_registry_is_asked_once_and_stops_nobody(machines) -> None:
    Path(machines.url.removeprefix("file://")).write_text("a file where the folder should be")
    ours = machines.open("ours")
    head = made(ours)
    appoint(ours, "f" * 64, "1" * 64)
    with capture_logs() as logs:
        exchanged(ours)
    assert [each["event"] for each in logs] == ["intent heads will be shared later"]
    serving = intents_of(ours)
    serving.refresh(ENCODER)
    assert serving._heads[ENCODER].manifest.head == head


def test_a_head_dismissed_elsewhere_leaves_this_machine_in_the_end(machines) -> None:
    ours, theirs = machines.open("ours"), machines.open("theirs")
    head = made(ours)
    exchanged(ours, theirs)
    assert list(heads_still_shared(ours)) == []
    dismiss(ours, head)
    (said,) = heads_still_shared(ours)
    assert said.startswith(f"{machines.url}/intent/shop holds 1 intent heads that serve no more")
    exchanged(theirs)
    assert heads_of(theirs).list() == [head], "it might be about to be appointed"
    machines.now = NOW + timedelta(hours=2)
    exchanged(theirs)
    assert heads_of(theirs).list() == []
    with pytest.raises(IntentHeadMissingError, match="not on this machine"):
        heads_of(theirs).load(head)


def test_a_cycle_elsewhere_leaves_the_heads_of_encoders_that_serve(machines) -> None:
    """The encoder may be on another machine alone; its head must not lose its appointment."""
    ours, theirs = machines.open("ours"), machines.open("theirs")
    head = made(ours)
    ours.generations.create(
        index="shop",
        slot="embedding__a",
        dimension=4,
        similarity="cosine",
        fingerprint=ENCODER,
        created_at=NOW,
    )
    sweep_heads(theirs)
    assert head_for(ours, ENCODER) == head
