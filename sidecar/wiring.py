"""The one place where configuration becomes parts."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from desireline.connectors import plugins
from desireline.connectors.log_source import LogSource
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import SearchEngine
from desireline.connectors.search_relevance import SearchRelevance
from desireline.connectors.state_store import StateStore
from desireline.sidecar.archive.event_archive import EventArchive
from desireline.sidecar.config import ClusterConfig, Config, child_environment
from desireline.sidecar.configuration.target import TargetConfig
from desireline.sidecar.errors import SidecarError
from desireline.sidecar.hooks.points import Hooks
from desireline.sidecar.hooks.webhook import WebhookCaller
from desireline.sidecar.models.shared_registry import open_registry
from desireline.sidecar.models.sharing import share
from desireline.sidecar.operations import Sidecar
from desireline.sidecar.privacy.promises import Privacy
from desireline.sidecar.reports.telemetry import Metrics
from desireline.sidecar.serving.encoders import pool_over
from desireline.sidecar.serving.live import ClusterAddress
from desireline.sidecar.steering.steps import Reached, go_on
from desireline.sidecar.target import Target
from desireline.sidecar.worker_process import WorkerProcess
from desireline.sidecar.writing.embedding_cache import EmbeddingCache

#: Base, live, retained, candidate, and who embedded the documents of a query-side one.
_ENCODERS_A_TARGET = 5


def open_sidecar(
    config: Config,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    reached: Reached = go_on,
    sleep: Callable[[float], None] = time.sleep,
) -> Sidecar:
    """Connect everything the configuration names.

    Args:
        config: the whole file.
        clock: of wall time.
        reached: told of every step of a re-embedding as it is passed; crash tests stop there.
        sleep: of every wait of a run, and of the wait for an owner that shows no life.

    Raises:
        ConfigError: a secret is missing or a plugin's settings are wrong.
        PluginMissingError: an engine or log source needs an extra that is not installed.

    """
    _make(config.data_dir)
    settings = opensearch_settings(config.cluster)
    engine, store = _engine(config, settings), _store(config, settings)
    registry = open_registry(config)
    encoders = pool_over(
        registry,
        threads=config.encoder_threads,
        keep=_ENCODERS_A_TARGET * len(config.targets),
    )
    trackers = {name for each in config.targets.values() for name in each.tune.fit.report_to}
    worker = WorkerProcess(environment=child_environment(sorted(trackers)))
    cache = EmbeddingCache(config.cache_dir)
    privacy = {
        name: Privacy(config.data_dir, target=name, config=target.privacy, clock=clock)
        for name, target in config.targets.items()
    }
    targets = {
        name: Target(
            name=name,
            config=target,
            engine=engine,
            store=store,
            registry=registry,
            cache=cache,
            encoders=encoders,
            worker=worker,
            log_source=log_source(target, settings),
            archive=EventArchive(config.events_dir / name),
            protect=privacy[name].anonymise,
            privacy=privacy[name],
            clock=clock,
            reached=reached,
            sleep=sleep,
            share=lambda fingerprint: [each.sentence for each in share(registry, [fingerprint])],
            hooks=_hooks(config, target),
            judgment_lists=None if settings is None else partial(_lists_of, settings),
        )
        for name, target in config.targets.items()
    }
    return Sidecar(
        targets,
        store=store,
        metrics=Metrics(),
        cluster=_address(settings),
    )


def open_engine(config: Config) -> SearchEngine:
    """Connect the search engine alone, to look at an index."""
    return _engine(config, opensearch_settings(config.cluster))


def opensearch_settings(cluster: ClusterConfig) -> OpenSearchSettings | None:
    """Return how the cluster is reached; None with an embedded engine."""
    if cluster.url is None:
        return None
    auth = cluster.auth
    return OpenSearchSettings(
        url=cluster.url,
        user=auth.user or "",
        password=SecretStr(auth.password() if auth.kind == "basic" else ""),
        api_key=SecretStr(auth.key() if auth.kind == "api_key" else ""),
        ca_file=str(cluster.ca_certs or ""),
        verify_certs=cluster.verify_certs,
        timeout_s=cluster.timeout,
        knn_engine=cluster.knn_engine,
    )


def log_source(target: TargetConfig, settings: OpenSearchSettings | None) -> LogSource | None:
    """Open a target's click log; None when it names none."""
    if target.logs is None:
        return None
    plugin = plugins.load("logs", target.log_kind)
    source: LogSource = plugin.open(target.logs, settings)
    return source


def _lists_of(settings: OpenSearchSettings, prefix: str) -> SearchRelevance:
    return SearchRelevance(settings, prefix=prefix)


def _hooks(config: Config, target: TargetConfig) -> Hooks:
    webhooks = WebhookCaller(
        allowed_hosts=config.hooks.hosts,
        private_hosts=frozenset(map(str.lower, config.hooks.private_hosts)),
    )
    return Hooks(target.hooks, environment=child_environment(), webhooks=webhooks)


def _engine(config: Config, settings: OpenSearchSettings | None) -> SearchEngine:
    plugin: Any = plugins.load("engines", config.cluster.engine)
    engine: SearchEngine = plugin(settings if settings is not None else config.index_dir)
    return engine


def _store(config: Config, settings: OpenSearchSettings | None) -> StateStore:
    if settings is not None:
        store: StateStore = plugins.load("stores", "opensearch")(settings, config.cluster.state)
        return store
    embedded: StateStore = plugins.load("stores", "sqlite")(config.state_file)
    return embedded


def _address(settings: OpenSearchSettings | None) -> ClusterAddress | None:
    if settings is None:
        return None
    return ClusterAddress(
        url=settings.url,
        authorization=settings.authorization,
        verify=settings.verify_certs and (settings.ca_file or True),
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SidecarError(
            f"the data folder {folder} cannot be made: {error.strerror}; nothing was changed",
            next_step="set data_dir in desireline.toml to a folder this user may write",
        ) from error
