"""From known answers to a written log of simulated users, and the truth beside it."""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
from pydantic import BaseModel, Field, ValidationError

from desireline.connectors.errors import LogFormatError
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.ubi_indexes import UbiIndexes
from desireline.sidecar.configuration.errors import ConfigError, describe
from desireline.sidecar.demo.ubi_bulk import APPLICATION, EVENTS, QUERIES, Spec, bulk_lines
from desireline.sidecar.operations import Sidecar
from desireline.sidecar.reports.reporting import Reporter
from desireline.sidecar.simulating.log_files import creating, write_log
from desireline.trainer.measures.base import Qrels, Run
from desireline.trainer.simulation.clicks import examination
from desireline.trainer.simulation.defects import DefectsConfig, Planted, plant
from desireline.trainer.simulation.users import SimulatedLog, SimulationConfig, simulate

RankedBy = Literal["live", "bm25", "noisy"]
Rank = Callable[[Sequence[str]], Run]

#: Dice of pages without an engine.
_NOISE = 8
#: Pages of nobody's engine mix in this many documents that nobody judged for the query.
_STRANGERS = 12
#: How far from the truth such pages are ordered, in grades.
_NOISE_OF_GRADES = 0.7


class Users(BaseModel, frozen=True, extra="forbid"):
    """What a settings file may say."""

    users: SimulationConfig = Field(default=SimulationConfig(), description="Who they are.")
    defects: DefectsConfig = Field(default=DefectsConfig(), description="What goes wrong.")

    def reseeded(self, seed: int | None, **users: object) -> "Users":
        """Return the same with other dice, and with these fields of the users."""
        dice = {} if seed is None else {"seed": seed}
        return Users(
            users=self.users.model_copy(update=dice | users),
            defects=self.defects.model_copy(update=dice),
        )


#: Users and defects as logs have them, all at once.
MESSY = Users(
    users=SimulationConfig(
        carts=0.2,
        purchases=0.3,
        dwell_ratio=2.0,
        subnets=400,
        reformulations=0.3,
        zero_results=0.03,
        drift=0.05,
        trend=0.1,
    ),
    defects=DefectsConfig(
        late=0.03,
        duplicates=0.01,
        missing_shown=0.05,
        missing_positions=0.05,
        missing_query_ids=0.02,
        missing_clients=0.03,
        clock_skew=0.05,
        personal=100,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A log with its defects put in, and how it came to be."""

    log: SimulatedLog
    planted: Planted
    settings: Users

    @property
    def in_parts(self) -> bool:
        """Whether a search or its events can be written in several batches, or twice."""
        return bool(self.planted.counts)


def read_settings(path: Path) -> Users:
    """Read users and defects from TOML. Raises ConfigError."""
    try:
        return Users.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise describe(error, source=str(path), root=Users) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; nothing was written") from error


def simulated(answers: Qrels, rank: Rank, settings: Users, reporter: Reporter) -> Simulated:
    """Let users search and click, and put in what goes wrong."""
    log = simulate(sorted(answers), answers, rank, settings.users)
    searches = sum(len(batch.queries) for batch in log.batches)
    reporter.step("users", f"{searches:,} searches, {log.clicks:,} clicks of people")
    log, planted = plant(log, settings.defects)
    return Simulated(log=log, planted=planted, settings=settings)


def by_engine(
    sidecar: Sidecar, target: str, ranked_by: RankedBy, depth: int, reporter: Reporter
) -> Rank:
    """Rank by the live generation, or by BM25 over the target's text fields."""
    parts = sidecar.parts(target)

    def answer(query: str) -> Iterator[str]:
        if ranked_by == "live":
            hits = sidecar.search(target, query, depth)[1]
        else:
            hits = parts.engine.search_text(parts.config.index, parts.config.boosts, query, depth)
        return (hit.document_id for hit in hits)

    def rank(queries: Sequence[str]) -> Run:
        pages = {}
        for number, query in enumerate(queries, 1):
            pages[query] = tuple(answer(query))
            reporter.progress("pages", number, len(queries))
        return pages

    return rank


def by_noise(answers: Qrels, *, seed: int) -> Rank:
    """Rank without any engine: what is known of a query and a dozen strangers, half in order."""
    documents = sorted({document_id for grades in answers.values() for document_id in grades})
    greatest = max((grade for grades in answers.values() for grade in grades.values()), default=1.0)

    def rank(queries: Sequence[str]) -> Run:
        random = np.random.default_rng([seed, _NOISE])
        pages = {}
        for query in queries:
            drawn = random.choice(len(documents), min(_STRANGERS, len(documents)), replace=False)
            known = answers.get(query, {})
            found = list(dict.fromkeys([*sorted(known), *(documents[n] for n in drawn.tolist())]))
            grades = np.array([known.get(each, 0.0) / greatest for each in found])
            order = np.argsort(-(grades + random.normal(0, _NOISE_OF_GRADES, len(found))))
            pages[query] = tuple(found[place] for place in order.tolist())
        return pages

    return rank


def into_file(simulated: Simulated, out: Path, spec: Spec, reporter: Reporter) -> Path:
    """Write the log and the truth beside it; return the truth's path. Raises LogFormatError."""
    truth = truth_beside(out)
    write_truth(simulated, truth)
    total = len(simulated.log.batches)
    try:
        write_log(
            simulated.log.batches,
            out,
            spec=spec,
            in_parts=simulated.in_parts,
            written=lambda done: reporter.progress("write", done, total),
        )
    except BaseException:
        truth.unlink(missing_ok=True)
        raise
    return truth


def into_cluster(
    simulated: Simulated,
    settings: OpenSearchSettings,
    prefix: str,
    spec: Spec,
    reporter: Reporter,
) -> Path:
    """Write the log into UBI's indexes of this prefix, and the truth into this folder.

    Indexes of a former simulation are replaced.

    Raises:
        LogFormatError: an index of such a name holds what no simulation wrote; it is untouched.
        ConnectorError: the cluster did not take it.

    """
    truth = Path(f"{prefix}simulation.truth.json")
    names = {"queries": f"{prefix}{QUERIES}", "events": f"{prefix}{EVENTS}"}
    with closing(UbiIndexes(settings, **names, ordinal_is_object=spec == "1.2")) as indexes:
        others = indexes.not_of(APPLICATION)
        if others:
            raise LogFormatError(
                f"{names['queries']} and {names['events']} hold {others:,} records that no"
                " simulation wrote; nothing was changed",
                next_step="name another prefix with --into",
            )
        indexes.create()
        for number, batch in enumerate(simulated.log.batches):
            part = str(number) if simulated.in_parts else ""
            indexes.load(b"".join(bulk_lines(batch, prefix=prefix, spec=spec, part=part)))
            reporter.progress("write", number + 1, len(simulated.log.batches))
    truth.unlink(missing_ok=True)
    write_truth(simulated, truth)
    return truth


def truth_beside(out: Path) -> Path:
    """Return the path of the truth of a log."""
    return out.with_name(f"{out.name.split('.')[0]}.truth.json")


def write_truth(simulated: Simulated, path: Path) -> None:
    """Write what is known for certain. Raises LogFormatError."""
    with creating(path) as file:
        file.write(orjson.dumps(truth_body(simulated), option=orjson.OPT_INDENT_2))


def truth_body(simulated: Simulated) -> dict[str, Any]:
    """Return the truth as plain values."""
    log, planted, users = simulated.log, simulated.planted, simulated.settings.users
    looked = examination(users).tolist() if users.click_model == "pbm" else []
    return {
        "simulated": True,
        "users": users.model_dump(mode="json"),
        "defects": simulated.settings.defects.model_dump(mode="json"),
        "examination": {str(place): chance for place, chance in enumerate(looked, 1)},
        "relevance": log.truth.relevance,
        "turn": log.truth.turn and log.truth.turn.isoformat(),
        "relevance_after_the_turn": log.truth.drifted,
        "bots": list(log.truth.bots),
        "zero_results": log.truth.zero_results,
        "reformulations": log.truth.reformulations,
        "planted": planted.counts,
        "personal": [
            {"query_id": each.query_id, "kind": each.kind, "value": each.value}
            for each in planted.personal
        ],
        "clocks_off_by_s": planted.skewed,
    }
