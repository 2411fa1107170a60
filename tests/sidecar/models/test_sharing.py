"""What serves is shared, what lacks is taken, and a dead shared registry stops nobody."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from desireline.connectors.documents import TextTemplate
from desireline.connectors.shared_folder import SharedFolder
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.cli.app import app
from desireline.sidecar.config import Config, parse_config
from desireline.sidecar.configuration.errors import ConfigError
from desireline.sidecar.generations import Generations, State
from desireline.sidecar.models.base_encoder import resolve
from desireline.sidecar.models.exchange import ModelExchange
from desireline.sidecar.models.retention import sweep
from desireline.sidecar.models.shared_registry import open_registry, signing_key
from desireline.sidecar.models.sharing import still_shared
from desireline.sidecar.models.signing_keys import make_key
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.writing.embedding_cache import EmbeddingCache
from desireline.trainer.errors import SignatureError, UnsafeModelError
from desireline.trainer.models.manifest import MANIFEST, Provenance
from desireline.trainer.models.shared import SharedModels
from desireline.trainer.models.signing import PublicKey, SigningKey, Trust, generate
from desireline.trainer.registry import Registry

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
TARGET = {"index": "jobs", "text": ["title"]}


def serving(store: MemoryStore, fingerprint: str) -> None:
    Generations(store, "jobs").create(
        index="jobs",
        slot="embedding__a",
        dimension=16,
        similarity="cosine",
        fingerprint=fingerprint,
        created_at=NOW,
    )


def over(tmp_path: Path, name: str, url: str | None = None) -> Registry:
    place = SharedModels(SharedFolder(url or f"{tmp_path}/shared", limit_s=10))
    return Registry(tmp_path / name, now=lambda: NOW, shared=place)


def config(tmp_path: Path, **registry: object) -> Config:
    values = {"targets": {"jobs": TARGET}, "data_dir": "data", "registry": registry}
    return parse_config(values, source="desireline.toml", folder=tmp_path)


def test_what_serves_is_shared_with_the_encoder_of_its_documents_and_nothing_else(
    added, tmp_path: Path, exported_static: Path
) -> None:
    ours, store = over(tmp_path, "a"), MemoryStore()
    base = added(ours, exported_static, "title")
    idle = added(ours, exported_static, "other")
    queries = ours.add(
        exported_static,
        template=TextTemplate(fields=("title",)),
        similarity="cosine",
        provenance=Provenance(base_model="tiny", parent=base, mode="query"),
        documents=base,
    ).fingerprint
    serving(store, queries)
    exchange = ModelExchange(store, ours)
    assert {each.fingerprint for each in exchange.share()} == {base, queries}
    assert exchange.share() == []  # it knows that it is shared
    theirs = over(tmp_path, "b")
    assert theirs.load(queries, threads=1).dimension == theirs.get(base).dimension
    assert sorted(theirs.names()) == sorted([base, queries])
    assert idle not in exchange.fingerprints()


def test_what_a_dead_registry_did_not_take_is_said_and_taken_when_it_lives_again(
    added, tmp_path: Path, exported_static: Path
) -> None:
    (tmp_path / "shared").write_text("a file where the folder should be")
    ours, store = over(tmp_path, "a"), MemoryStore()
    model = added(ours, exported_static, "title")
    serving(store, model)
    exchange = ModelExchange(store, ours)
    (left,) = exchange.share()
    assert left.failed
    assert "is tried again later" in left.sentence
    assert ours.load(model, threads=1).dimension == ours.get(model).dimension
    (tmp_path / "shared").unlink()
    (done,) = exchange.share()
    assert (done.failed, done.sent) == (False, True)
    assert exchange.fingerprints() == [model]


def test_retention_forgets_here_what_stays_shared_for_others(
    added, tmp_path: Path, exported_static: Path
) -> None:
    ours, store = over(tmp_path, "a"), MemoryStore()
    base = added(ours, exported_static, "title")
    tuned = [added(ours, exported_static, f"f{n}", parent=base) for n in range(5)]
    exchange = ModelExchange(store, ours)
    exchange.push([name[:12] for name in tuned])
    gone = sweep(store, ours, EmbeddingCache(tmp_path / "cache"))
    assert len(gone) == 2
    assert set(gone) < set(exchange.fingerprints()) == set(tuned)
    assert ours.get(gone[0]).fingerprint == gone[0]  # and comes back when it is asked for


def test_a_retired_generation_is_not_shared(added, tmp_path: Path, exported_static: Path) -> None:
    ours, store = over(tmp_path, "a"), MemoryStore()
    serving(store, added(ours, exported_static, "title"))
    generations = Generations(store, "jobs")
    (only,) = generations.all()
    generations.change(only, state=State.CANCELLED, reason="a test")
    assert ModelExchange(store, ours).share() == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "s3://key:secret@bucket/models"}, "registry.secrets"),
        ({"url": "s3://bucket/models?token=secret"}, "registry.secrets"),
        ({"url": "models"}, "expected an address"),
        ({"url": "simplecache::s3://bucket"}, "expected an address"),
        ({"options": {"secret": "hunter2"}}, "registry.secrets"),
        ({"require_signature": True}, "needs trusted_keys"),
        ({"trusted_keys": ["hunter2"]}, "Ed25519 public key"),
        ({"signing_key_env": "A", "signing_key_file": "b"}, "not both"),
    ],
)
def test_a_wrong_registry_is_refused_by_name(
    wrong: dict[str, object], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="registry") as caught:
        config(tmp_path, **wrong)
    assert said in str(caught.value)


def test_a_folder_larger_than_the_configured_most_is_not_imported(
    added, tmp_path: Path, exported_static: Path
) -> None:
    ours = over(tmp_path, "a")
    folder = ours.folder(added(ours, exported_static, "title"))
    for url in ({}, {"url": f"file://{tmp_path}/shared"}):
        small = open_registry(config(tmp_path, largest_model=1000, **url))
        with pytest.raises(UnsafeModelError, match=r"largest_model allows \(1,000\)"):
            small.take(folder)
        assert small.names() == []


def test_a_secret_is_read_from_the_environment_and_never_shown(
    added, tmp_path: Path, exported_static: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {"url": f"file://{tmp_path}/shared", "secrets": {"bogus": "MODELS_SECRET"}}
    with pytest.raises(ConfigError, match="MODELS_SECRET is not set"):
        open_registry(config(tmp_path, **table))
    monkeypatch.setenv("MODELS_SECRET", "hunter2")
    registry = open_registry(config(tmp_path, **table))
    store = MemoryStore()
    serving(store, added(registry, exported_static, "title"))
    for shared in ModelExchange(store, registry).share():
        assert "hunter2" not in shared.sentence


def test_a_signing_key_that_others_may_read_signs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "signing.pem"
    public = make_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    table = config(tmp_path, signing_key_file="signing.pem", trusted_keys=[public.text]).registry
    found = signing_key(table)
    assert found is not None
    assert found.public == public
    file.chmod(0o640)
    with pytest.raises(SignatureError, match="others may read") as caught:
        signing_key(table)
    assert caught.value.next_step.startswith("chmod 600")


def run(*words: str, code: int = 0) -> dict[str, object]:
    done = CliRunner().invoke(app, ["models", *words, "--json"])
    assert done.exit_code == code, done.output
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def configure(data: str, *more: str) -> None:
    """Write the configuration of one machine."""
    target = ["[targets.jobs]", 'index = "jobs"', 'text = ["title"]']
    lines = [f'data_dir = "{data}"', *target, "[registry]", *more]
    Path("desireline.toml").write_text("\n".join(lines) + "\n")


def test_the_commands_make_a_key_share_sign_take_and_prove(
    added, tmp_path: Path, exported_static: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    configure("ours")
    assert "no shared registry" in str(run("push", code=2)["error"])
    public = str(run("keygen", "signing.pem")["public_key"])
    assert "no key was made" in str(run("keygen", "signing.pem", code=1)["error"])
    place = f'url = "file://{tmp_path}/shared"'
    strict = ["require_signature = true", f'trusted_keys = ["{public}"]']
    configure("ours", place, 'signing_key_file = "signing.pem"', *strict)
    model = added(Registry(tmp_path / "ours" / "models"), exported_static, "title")
    (pushed,) = run("push", model[:8])["pushed"]
    assert "signed by the key" in pushed["sentence"]
    configure("theirs", place, *strict)
    shared = run("list", "--shared")["models"]
    assert [each["fingerprint"] for each in shared] == [model]
    assert run("pull", model[:8])["model"]["fingerprint"] == model
    assert run("verify")["verified"] == [model]
    run("export", model[:8], "out")
    assert list(Path("out").glob("signature-*.json"))
    configure("third", *strict)
    assert run("import", "out")["model"]["fingerprint"] == model
    graph = tmp_path / "third" / "models" / model / "encoder.onnx"
    graph.write_bytes(graph.read_bytes() + b"x")
    assert list(run("verify", code=1)["wrong"]) == [model]
    for signature in Path("out").glob("signature-*.json"):
        signature.unlink()
    configure("fourth", *strict)
    assert "signed by none" in str(run("import", "out", code=1)["error"])


def test_the_doctor_says_whether_the_shared_registry_can_be_read(
    tmp_path: Path, exported_static: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    configure("ours", f'url = "file://{tmp_path}/shared/models"')

    def said() -> dict[str, str]:
        done = CliRunner().invoke(app, ["doctor", "--json"])
        checks = json.loads(done.stdout)["checks"]
        (found,) = [check for check in checks if check["name"] == "registry"]
        return dict(found)

    assert (said()["state"], "holds 0 encoders" in said()["sentence"]) == ("ok", True)
    (tmp_path / "shared").write_text("a file where the folder should be")
    assert said()["state"] == "warn"
    assert "what is on this machine serves" in said()["sentence"]


def test_an_erasure_names_the_shared_models_that_it_does_not_reach(
    added, tmp_path: Path, exported_static: Path
) -> None:
    ours = over(tmp_path, "a")
    base = added(ours, exported_static, "title")
    taught = [added(ours, exported_static, field, parent=base) for field in ("x", "y", "z")]
    assert list(still_shared(Registry(tmp_path / "a"), taught)) == []
    ModelExchange(MemoryStore(), ours).push(taught[1:])
    ours.remove(taught[2])
    named, unknown = still_shared(ours, taught[:2])
    assert f"/{taught[1]} when no machine serves it" in named
    assert "holds 1 models that this machine no longer has" in unknown
    (tmp_path / "dead").write_text("a file where the folder should be")
    (dead,) = still_shared(over(tmp_path, "a", f"{tmp_path}/dead/models"), taught)
    assert "could not be looked at" in dead


def a_target(registry: Registry, asked: list[Any]) -> Any:
    """As much of a target as finding its base encoder needs."""
    template = TextTemplate(fields=("title",))
    worker = SimpleNamespace(run=lambda job, _: asked.append(job) or {"fingerprint": "f" * 64})
    return SimpleNamespace(
        registry=registry, config=SimpleNamespace(template=template), worker=worker
    )


def test_a_base_encoder_that_another_machine_imported_is_taken_and_not_imported_again(
    added, tmp_path: Path, exported_static: Path
) -> None:
    ours, asked = over(tmp_path, "a"), []
    other = added(ours, exported_static, "other")
    base = added(ours, exported_static, "title")
    ModelExchange(MemoryStore(), ours).push([other, base])
    theirs = a_target(over(tmp_path, "b"), asked)
    assert resolve(theirs, "tiny", SilentReporter()) == base
    assert theirs.registry.names() == [base]
    assert asked == []
    dead = a_target(over(tmp_path, "c", f"{ours.root}/{base}/{MANIFEST}/x"), asked)
    assert resolve(dead, "tiny", SilentReporter()) == "f" * 64
    assert len(asked) == 1


def test_a_refused_encoder_of_the_same_name_does_not_stand_before_a_good_one(
    added, tmp_path: Path, exported_static: Path, exported_bert: Path
) -> None:
    mine = SigningKey(generate(), place="a test")
    place = SharedFolder(f"{tmp_path}/shared", limit_s=10)
    early = Registry(
        tmp_path / "a", now=lambda: NOW - timedelta(days=9), shared=SharedModels(place)
    )
    stranger = added(early, exported_bert, "title")
    late = Registry(
        tmp_path / "b", now=lambda: NOW, shared=SharedModels(place, signing_key=lambda: mine)
    )
    good = added(late, exported_static, "title")
    ModelExchange(MemoryStore(), early).push([stranger])
    ModelExchange(MemoryStore(), late).push([good])
    trust = Trust(keys=(mine.public,), required=True)
    strict = Registry(tmp_path / "c", shared=SharedModels(place, trust=trust), trust=trust)
    asked: list[Any] = []
    assert resolve(a_target(strict, asked), "tiny", SilentReporter()) == good
    assert (strict.names(), asked) == ([good], [])


def test_where_signatures_are_needed_an_unsigned_encoder_is_imported_only_by_who_can_sign(
    tmp_path: Path,
) -> None:
    asked: list[Any] = []
    key = PublicKey("MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    strict = Registry(tmp_path / "a", trust=Trust(keys=(key,), required=True))
    with pytest.raises(SignatureError, match="tiny is signed by nobody"):
        resolve(a_target(strict, asked), "tiny", SilentReporter())
    assert asked == []
    signing = Registry(tmp_path / "b", trust=Trust(keys=(key,), required=True, signs=True))
    resolve(a_target(signing, asked), "tiny", SilentReporter())
    assert len(asked) == 1
