"""Candidate against incumbent: a verdict and its reason in one sentence."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, field_validator

from desireline.trainer.errors import GoldenQueriesError, UnknownMeasureError
from desireline.trainer.evaluation import Comparison, Difference
from desireline.trainer.judging.sanity import OwnTitles, Push
from desireline.trainer.measures.base import Measure, Run, parse
from desireline.trainer.query_text import normalise

_GOLDEN_DEPTH = 10
_EMBEDS_NOTHING = " (a query encoder, for which nothing is embedded)"


class GateConfig(BaseModel, frozen=True, extra="forbid"):
    """What a candidate must prove before it may serve."""

    measure: str = Field(default="ndcg@10", description="The measure that decides.")
    margin: float = Field(
        default=0.01,
        ge=0,
        description="The smallest gain worth a re-embedding: the lower bound of the gain must be"
        " above it.",
    )
    query_side_margin: float = Field(
        default=0.005,
        ge=0,
        description="The same of a query encoder over the vectors that are there (modes adapter and"
        " query): nothing is embedded, so less is worth it. Never more than margin.",
    )
    min_queries: int = Field(
        default=30, ge=2, description="With fewer held-out queries nothing is proven."
    )
    guarded: tuple[str, ...] = Field(
        default=("head", "torso", "tail"), description="Segments that may not fall."
    )
    min_segment_queries: int = Field(
        default=20,
        ge=2,
        description="A segment with fewer queries is not judged: its numbers are chance.",
    )
    segment_tolerance: float = Field(
        default=0.05,
        ge=0,
        description="Loss in a segment that is a fall even where the interval reaches above zero.",
    )
    topics: int = Field(
        default=8,
        ge=0,
        description="Groups of queries of like meaning, by the base encoder, of which none may be"
        " proven to fall; 0 for none.",
    )
    max_lost_titles: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="Most of the documents that may be found by their own titles no longer.",
    )
    max_push: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Most by which a document's share of the queries that find it in the first ten"
        " may rise; where documents are few, twice a document's fair share.",
    )
    general_tolerance: float = Field(
        default=0.02,
        ge=0,
        description="Most that the base encoder's general ability may lose, by the measure, on any"
        " part of the general suite.",
    )

    cheaper_tolerance: float = Field(
        default=0.02,
        ge=0,
        description="How far the lower bound may lie below zero for a cheaper form of the incumbent"
        " (int8), which cannot be better than it.",
    )

    int8_cosine: float = Field(
        default=0.97,
        ge=-1,
        le=1,
        description="Least cosine between an int8 form's vector of a text and that of what it was"
        " made from, for 99 of 100 texts of the target.",
    )
    int8_overlap: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Least share of the first ten answers that an int8 form finds, too.",
    )

    @property
    def for_cheaper(self) -> "GateConfig":
        """What a cheaper form of the incumbent must prove: that it is not worse by much."""
        return self.model_copy(update={"margin": -self.cheaper_tolerance})

    def margin_of(self, *, embeds: bool) -> float:
        """Return what the lower bound must be above where documents are embedded, or are not."""
        return self.margin if embeds else min(self.margin, self.query_side_margin)

    @field_validator("measure")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            return str(parse(name))
        except UnknownMeasureError as error:
            raise ValueError(f"{error}; {error.next_step}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """A document that must stay among the first ten answers of a query."""

    query: str
    document_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateEvidence:
    """What is known about a candidate."""

    comparison: Comparison
    #: Golden queries that the incumbent answers and the candidate does not.
    broken: tuple[Golden, ...] = ()
    #: What is wrong with its vectors as such; empty where nothing is.
    unsound: str = ""
    titles: OwnTitles | None = None
    push: Push | None = None
    #: Documents it was measured among.
    documents: int = 0
    #: On the newest searches alone.
    newest: Difference | None = None
    #: By topic, each with an interval wide enough for all of them together.
    topics: tuple[Difference, ...] = ()
    #: Candidate against base on each part of the general suite.
    general: tuple[Difference, ...] = ()
    #: Whether its documents would have to be embedded; else it searches the vectors there are.
    embeds: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision and its reason, one sentence with the numbers in it."""

    promote: bool
    reason: str
    #: All that stands against it; the reason names the first.
    obstacles: tuple[str, ...] = ()


def decide(evidence: GateEvidence, config: GateConfig | None = None) -> Verdict:
    """Promote only what is proven better and breaks nothing; the first obstacle is the reason."""
    config = config or GateConfig()
    measure = parse(config.measure)
    overall = evidence.comparison.of(measure)
    if overall.queries < config.min_queries:
        return Verdict(
            promote=False,
            reason=(
                f"{overall.queries} held-out queries are too few to prove anything; "
                f"{config.min_queries} are needed"
            ),
        )
    obstacles = tuple(filter(None, _obstacles(evidence, overall, measure, config)))
    numbers = _numbers(overall)
    if obstacles:
        return Verdict(promote=False, reason=f"{numbers}: {obstacles[0]}", obstacles=obstacles)
    margin = config.margin_of(embeds=evidence.embeds)
    bound = f"the margin {_short(margin)}" if margin else "0"
    why = "" if evidence.embeds else _EMBEDS_NOTHING
    return Verdict(
        promote=True, reason=f"{numbers}: lower bound above {bound}{why}, no segment fell"
    )


def _obstacles(
    evidence: GateEvidence, overall: Difference, measure: Measure, config: GateConfig
) -> Iterator[str]:
    """Say what stands against it, what certainly broke first; empty where all is well."""
    yield evidence.unsound
    yield _golden_broken(evidence.broken)
    yield _pushed(evidence.push, evidence.documents, config)
    yield _titles_lost(evidence.titles, config)
    yield _not_better(overall, config, embeds=evidence.embeds)
    yield _segment_fell(evidence.comparison, measure, config)
    yield from (_topic_fell(topic, config) for topic in evidence.topics)
    yield _newest_fell(evidence.newest, config)
    yield from (_general_fell(part, config) for part in evidence.general)


def broken_golden(
    golden: Iterable[Golden], *, incumbent: Run, candidate: Run
) -> tuple[Golden, ...]:
    """Return the golden queries that the candidate would break.

    One that the incumbent already misses is not the candidate's doing.
    """
    return tuple(pin for pin in golden if _holds(pin, incumbent) and not _holds(pin, candidate))


def read_golden(path: Path) -> tuple[Golden, ...]:
    """Read golden queries, one a line: query, tab, document_id; empty lines and # are skipped.

    Raises:
        GoldenQueriesError: the file cannot be read, or a line is not of that form.

    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GoldenQueriesError(f"the golden queries at {path} cannot be read: {error}") from error
    return tuple(
        _golden(path, number, line.split("\t"))
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    )


def _golden(path: Path, number: int, cells: Sequence[str]) -> Golden:
    if len(cells) != 2 or not all(cell.strip() for cell in cells):  # noqa: PLR2004 - two columns
        raise GoldenQueriesError(
            f"line {number} of {path} has {len(cells)} columns; expected query, tab, document_id"
        )
    return Golden(query=normalise(cells[0]), document_id=cells[1].strip())


def _holds(pin: Golden, run: Run) -> bool:
    return pin.document_id in run.get(pin.query, ())[:_GOLDEN_DEPTH]


def _golden_broken(broken: Sequence[Golden]) -> str:
    if not broken:
        return ""
    return (
        f"{len(broken)} golden queries lost their document from the first {_GOLDEN_DEPTH} answers, "
        f"among them document {broken[0].document_id}"
    )


def _not_better(overall: Difference, config: GateConfig, *, embeds: bool) -> str:
    margin = config.margin_of(embeds=embeds)
    if overall.gain.low > margin:
        return ""
    why = "" if embeds else _EMBEDS_NOTHING
    return f"lower bound is not above {_short(margin) if margin else '0'}{why}"


def _segment_fell(comparison: Comparison, measure: Measure, config: GateConfig) -> str:
    for name in config.guarded:
        if name not in comparison.segments:
            continue
        part = comparison.of(measure, name)
        if part.queries >= config.min_segment_queries and (
            part.gain.high < 0 or part.gain.mean < -config.segment_tolerance
        ):
            return f"the {name} segment fell, {_numbers(part)}"
    return ""


def _topic_fell(topic: Difference, config: GateConfig) -> str:
    if topic.queries < config.min_segment_queries or topic.gain.high >= 0:
        return ""
    return f"queries of one kind ({topic.segment}) fell, {_numbers(topic)}"


def _newest_fell(newest: Difference | None, config: GateConfig) -> str:
    if newest is None or newest.queries < config.min_segment_queries or newest.gain.high >= 0:
        return ""
    return f"the newest searches fell, {_numbers(newest)}"


def _general_fell(part: Difference, config: GateConfig) -> str:
    """Say what was forgotten: the suite is fixed, not drawn, so no interval excuses a loss."""
    if part.gain.mean >= -config.general_tolerance:
        return ""
    return f"general ability fell below the base encoder's, part {part.segment}: {_numbers(part)}"


def _titles_lost(titles: OwnTitles | None, config: GateConfig) -> str:
    if titles is None or titles.share_lost <= config.max_lost_titles:
        return ""
    return (
        f"{titles.lost} of {titles.found} documents are not among the first {_GOLDEN_DEPTH} answers"
        " to their own titles any more"
    )


def _pushed(push: Push | None, documents: int, config: GateConfig) -> str:
    most = max(config.max_push, 2 * _GOLDEN_DEPTH / documents if documents else 0.0)
    if push is None or push.rise <= most:
        return ""
    return (
        f"document {push.document_id} pushes itself among the first {_GOLDEN_DEPTH} answers of"
        f" {push.after:.0%} of the queries ({push.before:.0%} before)"
    )


def _numbers(difference: Difference) -> str:
    gain = difference.gain
    return (
        f"{difference.measure.label} {_short(difference.incumbent)} -> "
        f"{_short(difference.candidate)} [{_signed(gain.low)}, {_signed(gain.high)}]"
    )


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0").replace("-0.", "-.")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("+0.", "+.").replace("-0.", "-.")
