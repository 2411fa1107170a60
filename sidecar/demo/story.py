"""The demo: an index of its own, users who do not exist, and one whole turn of the wheel.

Documents, queries and what belongs to what are real (O*NET). The clicks are simulated, and
every page says so.
"""

import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from desireline.connectors.search_engine import Application
from desireline.connectors.ubi_indexes import UbiIndexes
from desireline.sidecar.answering import answering
from desireline.sidecar.config import Config, load_config
from desireline.sidecar.demo.occupations import TEXT_FIELDS, Occupations, load_occupations
from desireline.sidecar.demo.opensearch_node import acquire_node
from desireline.sidecar.demo.report import DemoReport, plain
from desireline.sidecar.demo.traffic import HttpSearch, Traffic, TrafficReport
from desireline.sidecar.demo.ubi_bulk import EVENTS, QUERIES, bulk_lines
from desireline.sidecar.errors import SidecarError
from desireline.sidecar.judging.examination import (
    MEASURES,
    Examination,
    examine,
    rendered_documents,
)
from desireline.sidecar.operations import Sidecar
from desireline.sidecar.reports.answer_changes import EXAMPLES, AnswerChanges, tell_changes
from desireline.sidecar.reports.cycle_report import CycleReport
from desireline.sidecar.reports.reporting import Reporter
from desireline.sidecar.target import Target
from desireline.sidecar.wiring import open_sidecar, opensearch_settings
from desireline.trainer.evaluation import rank_exact
from desireline.trainer.judging.changes import largest_changes
from desireline.trainer.measures.base import Run
from desireline.trainer.simulation.users import SimulatedLog, SimulationConfig, simulate

TARGET = "demo-occupations"
INDEX = "desireline-demo-occupations"
Engine = Literal["lancedb", "opensearch"]

_CLICKS = "clicks.ndjson"
#: How long the application goes on after the swap.
_AFTERWARDS_S = 5.0
_CANARIES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """What a demo runs on."""

    engine: Engine
    #: Configuration, models, index and report go here; a former demo's folder is replaced.
    folder: Path
    seed: int = 7
    port: int = 8765
    #: A running cluster; without one the demo starts a node of its own.
    opensearch_url: str | None = None
    java_home: Path | None = None
    simulation: SimulationConfig = field(default_factory=SimulationConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A demo that has been told and still serves."""

    report: DemoReport
    url: str
    key: str
    config: Path


@contextmanager
def tell(settings: DemoSettings, reporter: Reporter) -> Iterator[Demo]:
    """Run the whole story; what it built serves for the duration of the block."""
    began = time.monotonic()
    with ExitStack() as stack:
        config = _prepare(settings, stack)
        sidecar = stack.enter_context(closing(open_sidecar(config)))
        parts = sidecar.parts(TARGET)
        occupations = _fill_index(parts, reporter)
        sidecar.reindex(TARGET, None, reporter)
        base = _live_fingerprint(parts)
        clicks = _simulate(settings, config, parts, occupations, reporter)
        port = _free_or_any(settings.port)
        server = stack.enter_context(answering(sidecar, config.server, port=port))
        key = sidecar.api_keys().create("demo", ["admin"])
        traffic = _traffic(parts, occupations, server.url, key)
        cycle = sidecar.tune(TARGET, _StartsTraffic(reporter, traffic))
        swap = _let_it_settle(sidecar, parts, traffic)
        examined = _examine(parts, occupations, base, cycle, reporter)
        report = DemoReport(
            engine=settings.engine,
            documents=len(occupations.documents),
            clicks=clicks.clicks,
            wrong_share=round(clicks.wrong_share, 4),
            seconds=round(time.monotonic() - began, 1),
            measures=plain(examined.table),
            intervals=examined.table,
            gain=examined.gain("tuned", "base"),
            swap=swap.to_json(),
            cycle=cycle,
            changes=_changes(occupations, examined),
        )
        yield Demo(
            report=report,
            url=server.url,
            key=key,
            config=settings.folder / "desireline.toml",
        )


def _free_or_any(port: int) -> int:
    """Return the port, or 0 for any where it is taken: a demo must not end over that."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def _prepare(settings: DemoSettings, stack: ExitStack) -> Config:
    """Write a configuration of the demo's own, over a former demo's only."""
    path = settings.folder / "desireline.toml"
    if settings.folder.exists():
        if any(settings.folder.iterdir()) and not path.exists():
            raise SidecarError(
                f"{settings.folder} is not a former demo's folder; nothing in it was touched",
                next_step="name another folder with --folder",
            )
        shutil.rmtree(settings.folder)
    settings.folder.mkdir(parents=True)
    path.write_text(_configuration(settings, stack), encoding="utf-8")
    return load_config(path)


def _configuration(settings: DemoSettings, stack: ExitStack) -> str:
    if settings.engine == "lancedb":
        cluster = '# Embedded: no server.\nengine = "lancedb"'
        logs = f'logs = {{ kind = "files", path = "{_CLICKS}" }}'
    else:
        node = acquire_node(settings.opensearch_url, java_home=settings.java_home)
        stack.callback(node.close)
        cluster = f'url = "{node.url}"'
        logs = (
            f'logs = {{ kind = "ubi", queries_index = "{INDEX}-{QUERIES}",'
            f' events_index = "{INDEX}-{EVENTS}", window = "3650d" }}'
        )
    return f"""# Written by `desireline demo`. Its clicks are simulated.
version = 1
data_dir = "."

[cluster]
{cluster}

[targets.{TARGET}]
index = "{INDEX}"
text = ["title^2", "description"]
vector = "embedding"
model = "minilm"
note = "the clicks are SIMULATED; documents, queries and right answers are real"
{logs}
# Nobody's privacy hangs on users who do not exist: one of them is enough to learn from.
privacy = {{ mode = "local" }}

[targets.{TARGET}.tune]
seed = {settings.seed}
# What is to be seen is a live index embedded again. Leave this out, and the cheapest mode that
# helps is kept: on this log an adapter on queries, for which nothing is embedded.
mode = "full"
# Half of what an encoder would take by itself, so that nobody waits long.
fit = {{ max_steps = 60 }}
"""


def _fill_index(parts: Target, reporter: Reporter) -> Occupations:
    occupations = load_occupations()
    _forget_former_demo(parts)
    application = _application(parts)
    application.drop_index(INDEX)
    application.create_index(INDEX, list(TEXT_FIELDS))
    application.index_documents(INDEX, occupations.documents)
    reporter.step(
        "index",
        f"{len(occupations.documents):,} occupations (O*NET 29.3, CC BY 4.0) are in {INDEX}",
    )
    return occupations


def _application(parts: Target) -> Application:
    """Every engine that ships can also play the index's owner."""
    return cast("Application", parts.engine)


def _forget_former_demo(parts: Target) -> None:
    for kind in ("pointer", "generation", "cycle", "lease", "replica", "failed_document"):
        for record in parts.store.list(kind):
            if record.key == TARGET or record.key.startswith((f"{TARGET}:", f"{TARGET} ")):
                parts.store.delete(record)


def _live_fingerprint(parts: Target) -> str:
    live = parts.generations.live()
    assert live is not None, "the base encoder went live a moment ago"
    return live.fingerprint


def _simulate(
    settings: DemoSettings,
    config: Config,
    parts: Target,
    occupations: Occupations,
    reporter: Reporter,
) -> SimulatedLog:
    """Let people who do not exist use the search as it is now."""
    truth = {**occupations.lay, **occupations.reported["train"]}
    encoder = parts.encoder(_live_fingerprint(parts))
    documents = rendered_documents(parts, encoder.fingerprint)

    def rank(queries: Sequence[str]) -> Run:
        return rank_exact(encoder, queries, documents, k=settings.simulation.shown)

    log = simulate(
        sorted(truth),
        {query: set(grades) for query, grades in truth.items()},
        rank,
        settings.simulation.model_copy(update={"seed": settings.seed}),
    )
    _keep_clicks(log, settings, config)
    reporter.step(
        "clicks",
        f"SIMULATED: {settings.simulation.searches:,} searches in {settings.simulation.days} days,"
        f" {log.clicks:,} clicks, {log.wrong_share:.0%} of them on wrong documents,"
        f" and {settings.simulation.bots} bots",
    )
    return log


def _keep_clicks(log: SimulatedLog, settings: DemoSettings, config: Config) -> None:
    """Put the log where this engine's users have theirs: in a file, or in UBI's indexes."""
    cluster = opensearch_settings(config.cluster)
    if cluster is None:
        with (settings.folder / _CLICKS).open("wb") as file:
            for batch in log.batches:
                file.writelines(bulk_lines(batch))
        return
    queries, events = f"{INDEX}-{QUERIES}", f"{INDEX}-{EVENTS}"
    with closing(UbiIndexes(cluster, queries=queries, events=events)) as indexes:
        indexes.create()
        for batch in log.batches:
            indexes.load(b"".join(bulk_lines(batch, prefix=f"{INDEX}-")))


def _traffic(parts: Target, occupations: Occupations, url: str, key: str) -> Traffic:
    return Traffic(
        search=HttpSearch(url, key, INDEX, parts.config.vector),
        engine=parts.engine,
        application=_application(parts),
        index=INDEX,
        queries=list(occupations.reported["dev"])[:_CANARIES],
    )


class _StartsTraffic:
    """Tells the reporter everything, and starts the application once training is over."""

    def __init__(self, reporter: Reporter, traffic: Traffic) -> None:
        self._reporter = reporter
        self._traffic = traffic

    def step(self, name: str, sentence: str, **keys: object) -> None:
        """Pass it on."""
        if name == "fit":
            self._traffic.start()
        self._reporter.step(name, sentence, **keys)

    def progress(self, name: str, done: int, total: int, **keys: object) -> None:
        """Pass it on."""
        self._reporter.progress(name, done, total, **keys)


def _let_it_settle(sidecar: Sidecar, parts: Target, traffic: Traffic) -> TrafficReport:
    """Let the application go on after the swap until its last write is embedded, then check."""
    time.sleep(_AFTERWARDS_S)
    return traffic.stop(parts, scores_are_halved=sidecar.cluster() is not None)


def _examine(
    parts: Target, occupations: Occupations, base: str, cycle: CycleReport, reporter: Reporter
) -> Examination:
    """Let BM25, the base and the tuned encoder answer the test queries, untouched until now."""
    return examine(
        parts,
        occupations.reported["test"],
        {"base": base, "tuned": cycle.candidate or base},
        reporter,
    )


def _changes(occupations: Occupations, examined: Examination) -> AnswerChanges:
    """Tell what is won and lost most; these queries are O*NET's, and nobody's."""
    truth, measure = occupations.reported["test"], MEASURES[0]
    runs = examined.runs["base"], examined.runs["tuned"]
    return tell_changes(
        largest_changes(*runs, truth, measure=measure, most=EXAMPLES),
        judged=len(truth),
        runs=runs,
        qrels=truth,
        titles={d.document_id: str(d.fields["title"]) for d in occupations.documents},
        measure=measure,
    )
