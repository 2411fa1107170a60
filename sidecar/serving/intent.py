"""What queries mean, told from memory, and what a search makes of it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from desireline.connectors.documents import Vector, Vectors
from desireline.connectors.engines.source import holds
from desireline.connectors.search_engine import Hit, SearchEngine, Within
from desireline.sidecar.configuration.intent import IntentConfig
from desireline.sidecar.errors import IntentError
from desireline.sidecar.serving.live import LiveGeneration
from desireline.trainer.errors import TrainerError
from desireline.trainer.intent.head import Intent, IntentHead
from desireline.trainer.intent.storing import IntentManifest

log = structlog.get_logger(__name__)

Use = Literal["boost", "filter", "abstained", "unfiltered"]
"""What was made of an intent; unfiltered: the filter left too few answers, so it was left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedHead:
    """A head in memory, and how the target uses it."""

    head: IntentHead
    manifest: IntentManifest
    config: IntentConfig

    def read(self, vectors: Vectors) -> list[Intent]:
        """Say what queries mean, by their vectors."""
        return self.head.read(
            vectors,
            min_confidence=self.config.min_confidence,
            most=self.config.max_categories,
        )

    def applied(self, vectors: Vectors) -> list["Applied"]:
        """Say what searches for these queries make of what they mean."""
        return [self._applied(intent) for intent in self.read(vectors)]

    def _applied(self, intent: Intent) -> "Applied":
        use: Use = "boost" if self.config.use == "boost" else "abstained"
        if self.config.use == "filter" and intent.sure:
            use = "filter"
        return Applied(
            intent=intent,
            use=use,
            field=self.manifest.filter_field,
            source=self.manifest.field,
            boost=self.config.boost,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What one search makes of what its query means."""

    intent: Intent
    use: Use
    #: By which the engine filters.
    field: str
    #: The same as it is in documents.
    source: str
    boost: float

    @property
    def within(self) -> Within | None:
        """Which documents alone are searched; None for all."""
        if self.use != "filter":
            return None
        return Within(field=self.field, values=self.intent.categories)

    @property
    def nearer(self) -> list[tuple[str, float]]:
        """Categories, and by how much of a cosine their documents come nearer."""
        if self.use != "boost":
            return []
        return [(each.category, self.boost * each.confidence) for each in self.intent.guesses]

    def reordered(self, hits: Sequence[Hit]) -> list[Hit]:
        """Bring documents of likely categories nearer; equal ones keep their order."""
        if not self.nearer:
            return list(hits)
        raised = [
            Hit(
                document_id=hit.document_id,
                score=hit.score
                + sum(more for name, more in self.nearer if holds(hit.fields, self._of(name))),
                fields=hit.fields,
            )
            for hit in hits
        ]
        return sorted(raised, key=lambda hit: -hit.score)

    def _of(self, category: str) -> Within:
        return Within(field=self.source, values=(category,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One query's answers, whose they are, and what was made of what it means."""

    live: LiveGeneration
    hits: list[Hit]
    #: None where the target makes nothing of it, or has no head for the live encoder.
    intent: Applied | None = None
    use: Use | None = None


@dataclass(slots=True, kw_only=True)
class Intents:
    """The heads of one target in memory, each by its encoder; never asked for another's."""

    target: str
    config: IntentConfig
    #: Returns the digest of the head that serves with an encoder. May block.
    appointed: Callable[[str], str | None]
    #: Reads a head from the disk and verifies it. May block.
    load: Callable[[str], tuple[IntentHead, IntentManifest]]
    _heads: dict[str, ServedHead | None] = field(default_factory=dict)
    #: The head that was looked at last, and could be loaded or not.
    _seen: tuple[str, str] = ("", "")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def head_for(self, live: LiveGeneration) -> ServedHead | None:
        """Return the head of the live encoder; None where there is none, or none is wanted."""
        if self.config.category is None:
            return None
        if live.fingerprint not in self._heads:
            self.refresh(live.fingerprint)
        return self._heads.get(live.fingerprint)

    def for_search(self, live: LiveGeneration) -> ServedHead | None:
        """Return it where searches make something of it."""
        return None if self.config.use == "off" else self.head_for(live)

    def require(self, live: LiveGeneration) -> ServedHead:
        """Return the head of the live encoder.

        Raises:
            IntentError: the target learns no intent, or has no head for this encoder yet.

        """
        found = self.head_for(live)
        if found is not None:
            return found
        if self.config.category is None:
            raise IntentError(
                f"target {self.target!r} learns no intent",
                next_step=f'set category = "FIELD" in [targets.{self.target}.intent], then run'
                f" desireline tune {self.target}",
            )
        raise IntentError(
            f"target {self.target!r} has no intent head for the encoder {live.fingerprint[:12]}"
            " that serves",
            next_step=f"run desireline tune {self.target}: its line `intent` says what became of"
            " the head",
        )

    def refresh(self, fingerprint: str) -> None:
        """Look which head serves with the live encoder, and forget those of others."""
        if self.config.category is None:
            return
        with self._lock:
            head = self.appointed(fingerprint)
            if head is None:
                self._heads, self._seen = {fingerprint: None}, ("", "")
            elif self._seen != (fingerprint, head) or self._heads.get(fingerprint) is None:
                # One that was missing may have been brought from another machine meanwhile.
                again = self._seen == (fingerprint, head)
                self._heads = {fingerprint: self._loaded(head, fingerprint, quietly=again)}
                self._seen = (fingerprint, head)

    def _loaded(self, head: str, fingerprint: str, *, quietly: bool) -> ServedHead | None:
        tell = log.debug if quietly else log.warning
        try:
            found, manifest = self.load(head)
        except TrainerError as error:
            tell("intent head not used", target=self.target, head=head, error=str(error))
            return None
        if found.encoder != fingerprint:
            tell("intent head of another encoder not used", target=self.target, head=head)
            return None
        return ServedHead(head=found, manifest=manifest, config=self.config)


def answer(
    engine: SearchEngine, live: LiveGeneration, intents: Intents, text: str, k: int
) -> Answered:
    """Answer one query, filtered or reordered by what it means where the target says so."""
    vector = live.encoder.encode_queries([text])
    served = intents.for_search(live)
    applied = None if served is None else served.applied(vector)[0]
    if applied is None:
        return Answered(live=live, hits=_nearest(engine, live, vector[0], k, None))
    hits = _nearest(engine, live, vector[0], k, applied.within)
    if applied.use == "filter" and len(hits) < min(k, intents.config.min_hits):
        hits = _nearest(engine, live, vector[0], k, None)
        return Answered(live=live, hits=hits, intent=applied, use="unfiltered")
    return Answered(live=live, hits=applied.reordered(hits), intent=applied, use=applied.use)


def intent_body(live: LiveGeneration, served: ServedHead, intents: list[Intent]) -> dict[str, Any]:
    """Return what queries mean as plain values, for every door."""
    return {
        "target": live.target,
        "field": served.manifest.field,
        "generation": live.number,
        "fingerprint": live.fingerprint,
        "head": served.manifest.head,
        "data": [
            {
                "index": place,
                "sure": intent.sure,
                "confidence": round(intent.confidence, 4),
                "categories": [
                    {"category": each.category, "confidence": round(each.confidence, 4)}
                    for each in intent.guesses
                ],
            }
            for place, intent in enumerate(intents)
        ],
    }


def _nearest(
    engine: SearchEngine, live: LiveGeneration, vector: Vector, k: int, within: Within | None
) -> list[Hit]:
    return engine.search_vectors(
        live.index, live.slot, vector, k, generation=live.stamp_number, within=within
    )
