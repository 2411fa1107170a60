"""The night's intent head: learned for the encoder that is to serve, judged, then appointed.

A head reads the query vectors of one encoder. So it is learned after the encoder is decided, and
before that one goes live: from the first moment it serves, its own head is there. It costs no
training of the encoder: queries are encoded, and a linear map is fitted in a child process.
"""

from dataclasses import asdict
from pathlib import Path

import polars as pl

from desireline.connectors.documents import Vectors
from desireline.connectors.errors import DesirelineError
from desireline.sidecar.erasing import retraining
from desireline.sidecar.errors import IntentError
from desireline.sidecar.intent.catalogue import Catalogue, read_catalogue
from desireline.sidecar.learning.documents_alone import Teaching
from desireline.sidecar.models.intent_records import appoint, dismiss, head_for, heads_of
from desireline.sidecar.reports.cycle_report import Diary
from desireline.sidecar.target import Target
from desireline.trainer.intent.apart import read_head, write_lessons
from desireline.trainer.intent.head import IntentHead
from desireline.trainer.intent.lessons import IntentLessons, intent_lessons
from desireline.trainer.intent.scoring import (
    RARE,
    SELDOM,
    HeldOutIntents,
    IntentScore,
    held_out_intents,
    score_head,
    score_majority,
)
from desireline.trainer.intent.storing import IntentManifest, digest_of
from desireline.trainer.intent.verdict import judge_head
from desireline.trainer.jobs import IntentJob

_FEWEST_CATEGORIES = 2


def learn_intent(
    target: Target, teaching: Teaching, encoder: str, incumbent: str, diary: Diary
) -> None:
    """Learn, judge and appoint a head for the encoder that is to serve; tell how it went.

    What goes wrong here is told and ends nothing else: the encoder goes live without a head.

    Args:
        target: whose queries and documents.
        teaching: what the night's encoder learned from, and what judged it.
        encoder: fingerprint of the one that is to serve.
        incumbent: of the one that serves, whose head is compared.
        diary: told in one line.

    """
    if target.config.intent.category is None:
        return
    try:
        _Night(target, teaching, encoder, incumbent, diary).learn()
    except DesirelineError as error:
        diary.step("intent", f"no head was made: {error}", promote=False)


class _Night:
    """One head, from lessons to its verdict."""

    def __init__(
        self, target: Target, teaching: Teaching, encoder: str, incumbent: str, diary: Diary
    ) -> None:
        self._target = target
        self._config = target.config.intent
        self._teaching = teaching
        self._encoder = encoder
        self._incumbent = incumbent
        self._diary = diary

    def learn(self) -> None:
        """Do it and tell how it went."""
        catalogue = read_catalogue(self._target)
        lessons = self._lessons(catalogue)
        note = f"intent-{self._diary.cycle}"
        self._note(note, lessons)
        head = self._fit(lessons)
        digest = digest_of(head)
        held_out = held_out_intents(
            self._teaching.truth.qrels,
            catalogue.categories,
            segments=self._teaching.truth.segments,
            lessons=lessons,
        )
        if not held_out.queries:
            raise IntentError("no held-out query led to a document with a category")
        vectors = self._vectors(head, held_out)
        found = score_head(head, vectors, held_out, seed=self._seed)
        verdict = judge_head(
            found,
            score_majority(lessons, held_out, seed=self._seed),
            self._serving_score(held_out),
            seed=self._seed,
        )
        if verdict.promote:
            self._appoint(head, self._manifest(head, catalogue, lessons, found), note)
        self._diary.step(
            "intent",
            f"{told(verdict.promote, verdict.reason, found)}; {self._sure(head, vectors)}",
            promote=verdict.promote,
            head=digest,
            figures=figures_of(found),
        )

    @property
    def _seed(self) -> int:
        return self._target.config.tune.seed

    def _lessons(self, catalogue: Catalogue) -> IntentLessons:
        lessons = intent_lessons(
            self._teaching.pairs.pairs,
            catalogue.categories,
            catalogue.titles,
            most_titles=self._config.max_titles,
            seed=self._seed,
        )
        least = self._config.min_queries
        if len(lessons.queries) < least:
            raise IntentError(
                f"{len(lessons.queries)} queries with a category are too few; {least} are needed"
            )
        if len(lessons.categories) < _FEWEST_CATEGORIES:
            raise IntentError(f"all documents have the same {catalogue.field}")
        return lessons

    def _fit(self, lessons: IntentLessons) -> IntentHead:
        vectors = self._target.encoder(self._encoder).encode_queries(lessons.texts)
        with self._target.registry.workspace() as folder:
            job = IntentJob(
                lessons=Path(folder, "lessons.safetensors"),
                encoder=self._encoder,
                categories=lessons.categories,
                seed=self._seed,
            )
            write_lessons(job.lessons, lessons, vectors)
            return read_head(job, self._target.worker.run(job, self._diary))

    def _vectors(self, head: IntentHead, held_out: HeldOutIntents) -> Vectors:
        """Encode the held-out queries as a head must read them."""
        return self._target.encoder(head.encoder).encode_queries(list(held_out.queries))

    def _sure(self, head: IntentHead, vectors: Vectors) -> str:
        """Say of how many queries the head would be sure."""
        least = self._config.min_confidence
        intents = head.read(vectors, min_confidence=least, most=self._config.max_categories)
        share = sum(intent.sure for intent in intents) / len(intents)
        return f"sure of {share:.0%} of the queries by min_confidence {least:g}"

    def _serving_score(self, held_out: HeldOutIntents) -> IntentScore | None:
        serving = head_for(self._target, self._incumbent)
        if serving is None:
            return None
        head, manifest = heads_of(self._target).load(serving)
        if manifest.field != self._config.category:
            return None
        return score_head(head, self._vectors(head, held_out), held_out, seed=self._seed)

    def _note(self, note: str, lessons: IntentLessons) -> None:
        """Note whom the head learns from, before it does: erasures find it by that."""
        if self._target.privacy is None:
            return
        queries = pl.Series(lessons.queries, dtype=pl.String)
        typed = self._teaching.sessions.frame.filter(pl.col("query").is_in(queries.implode()))
        self._target.privacy.trained_on.keep(
            note, queries=lessons.queries, clients=typed.get_column("client").unique()
        )

    def _manifest(
        self, head: IntentHead, catalogue: Catalogue, lessons: IntentLessons, found: IntentScore
    ) -> IntentManifest:
        return IntentManifest.of(
            head,
            target=self._target.name,
            field=catalogue.field,
            filter_field=catalogue.filter_field,
            cycle=self._diary.cycle,
            queries=len(lessons.queries),
            titles=len(lessons.titles),
            seed=self._seed,
            created_at=self._target.clock(),
            figures=figures_of(found),
        )

    def _appoint(self, head: IntentHead, manifest: IntentManifest, note: str) -> None:
        heads_of(self._target).add(head, manifest)
        if self._target.privacy is not None:
            self._target.privacy.trained_on.made(note, manifest.head)
        appoint(self._target, head.encoder, manifest.head)
        if retraining.learned_from_erased(self._target, manifest.head):
            dismiss(self._target, manifest.head)
            raise IntentError("what it learned from was erased meanwhile")


def figures_of(found: IntentScore) -> dict[str, dict[str, dict[str, float]]]:
    """Return the figures as plain values, rounded."""
    return {
        part: {
            name: {bound: round(number, 4) for bound, number in asdict(figure).items()}
            for name, figure in figures.items()
        }
        for part, figures in found.parts.items()
    }


def told(promote: bool, reason: str, found: IntentScore) -> str:
    """Say in one line what became of the head and how good it is."""
    decided = "a new head serves" if promote else "the new head is not used"
    tail = ", ".join(
        f"{found.parts[part]['accuracy'].value:.3f} of {part}"
        for part in (SELDOM, RARE)
        if part in found.parts
    )
    three, off = (found.overall[name].value for name in ("top-3", "calibration error"))
    calibrated = f"top-3 {three:.3f}, calibration error {off:.3f}"
    return f"{decided}: {reason}; {calibrated}" + (f"; accuracy {tail}" if tail else "")
