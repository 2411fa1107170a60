"""What the miners of a target find in its log and documents, and from where each pair came."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from desireline.connectors import plugins
from desireline.connectors.search_engine import Hit
from desireline.sidecar.errors import SidecarError
from desireline.sidecar.judging.examination import document_texts
from desireline.sidecar.learning.text_models import cross_encoder_of, writer_of
from desireline.sidecar.target import Target
from desireline.trainer.clickmodels.base import ClickModel
from desireline.trainer.documents.pair_features import describe_pairs
from desireline.trainer.judging.judgment_exchange import read_ratings
from desireline.trainer.judgments import judge
from desireline.trainer.label_model import SourceQuality
from desireline.trainer.miners.base import Material, Miner, find, with_related
from desireline.trainer.miners.likeness import Likeness
from desireline.trainer.miners.voting import Found, weigh
from desireline.trainer.pairs import Pair, PairSet
from desireline.trainer.query_text import normalise
from desireline.trainer.query_vectors import RememberingEncoder
from desireline.trainer.sessions import Sessions
from desireline.trainer.supported_pairs import supported


@dataclass(frozen=True, slots=True, kw_only=True)
class Mining:
    """Everything that was found, and what of it may be learned from."""

    material: Material
    #: By each miner, before anything was joined or left out.
    found: tuple[Found, ...]
    #: Joined, weighed, and clicked by enough clients.
    pairs: PairSet
    sources: dict[str, SourceQuality]
    #: Pairs that too few clients stand behind.
    left_out: int

    @property
    def sentence(self) -> str:
        """One line for people: how many pairs, and how far each source was believed."""
        believed = ", ".join(
            f"{name} {quality.accuracy:.0%} right" for name, quality in sorted(self.sources.items())
        )
        return f"{len(self.pairs.pairs):,} pairs" + (f"; believed: {believed}" if believed else "")


def mine_target(target: Target, sessions: Sessions, encoder: RememberingEncoder) -> Mining:
    """Judge what was shown, and let every configured miner look for pairs.

    Args:
        target: whose log, documents and engine.
        sessions: the training part; nothing of what is held out.
        encoder: the one that serves; it remembers what it made of the queries.

    """
    material = with_related(_material(target, sessions, encoder))
    found = tuple(finding for miner in miners_of(target) for finding in find(material, miner))
    mined = weigh(found, material.judgments, material.related)
    pairs = supported(mined.pairs, sessions, target.config.session_config.min_pair_clients)
    return Mining(
        material=material,
        found=found,
        pairs=pairs,
        sources=dict(mined.sources),
        left_out=len(mined.pairs.pairs) - len(pairs.pairs),
    )


def miners_of(target: Target) -> list[Miner]:
    """Make the configured miners, each with its own settings."""
    return [
        make_miner(name, target.config.tune.miner_settings.get(name, {}))
        for name in target.config.tune.miners
    ]


def make_miner(name: str, settings: dict[str, Any]) -> Miner:
    """Make a miner; without settings it has its own defaults."""
    kind = plugins.load("miners", name)
    if not settings:
        miner: Miner = kind()
        return miner
    configured: Miner = kind(kind.config_class.model_validate(settings))
    return configured


def explain(mining: Mining, query: str) -> dict[str, Any]:
    """Say which pairs of a query came from where and why.

    Only pairs that enough clients stand behind are named; of the others only their number is
    told, and a query that too few typed is as unknown as one that nobody did.
    """
    anchor = normalise(query)
    kept = [pair for pair in mining.pairs.pairs if pair.anchor == anchor]
    named = {pair.positive.document_id for pair in kept}
    of_query = [each for each in mining.found if each.pair.anchor == anchor]
    hidden = {each.pair.positive.document_id for each in of_query} - named
    return {
        "query": anchor,
        "pairs": [_explained(mining.material, pair, of_query) for pair in kept],
        "left_out": len(hidden),
        "sentence": _sentence(len(kept), len(hidden)),
    }


def _explained(material: Material, pair: Pair, found: Sequence[Found]) -> dict[str, Any]:
    """Tell one pair and what each miner said of it."""
    document_id = pair.positive.document_id
    return {
        "document_id": document_id,
        "title": _title(material, document_id),
        "weight": round(pair.weight, 4),
        "negatives": [_negative(material, each.document_id) for each in pair.negatives],
        "found_by": [
            {
                "miner": each.pair.source,
                "weight": round(each.pair.weight, 4),
                "why": each.pair.why,
                "negatives": [negative.document_id for negative in each.pair.negatives],
            }
            for each in found
            if each.pair.positive == pair.positive
        ],
    }


def _negative(material: Material, document_id: str) -> dict[str, str]:
    return {"document_id": document_id, "title": _title(material, document_id)}


def _title(material: Material, document_id: str) -> str:
    document = material.documents.get(document_id)
    return document.title if document else ""


def _sentence(kept: int, hidden: int) -> str:
    if not kept and not hidden:
        return (
            "no miner found a pair for this query; it may be held out, typed by too few"
            " clients, or never have led to a click that is believed"
        )
    told = f"{kept} pair{'' if kept == 1 else 's'} for this query"
    return told + (
        f"; {hidden} more are left out, for too few clients stand behind them" if hidden else ""
    )


def _material(target: Target, sessions: Sessions, encoder: RememberingEncoder) -> Material:
    documents = document_texts(target, encoder.fingerprint)
    features = describe_pairs(sessions.frame, documents, encoder)
    judgments = judge(sessions, _click_model(target), features, target.config.tune.evidence)
    slot = target.generations.live()

    def near(text: str, k: int) -> list[Hit]:
        if slot is None:
            raise SidecarError(
                f"no generation of {target.name!r} is live; nothing was changed",
                next_step=f"run desireline reindex {target.name}",
            )
        vector = encoder.encode_queries([text])[0]
        return target.engine.search_vectors(
            slot.index, slot.slot, vector, k, generation=slot.stamp_number
        )

    def by_words(text: str, k: int) -> list[Hit]:
        return target.engine.search_text(target.config.index, target.config.boosts, text, k)

    return Material(
        sessions=sessions,
        judgments=judgments,
        documents=documents,
        search=near,
        lexical=by_words,
        likeness=Likeness(encoder, documents),
        generate=writer_of(target),
        rerank=cross_encoder_of(target),
        ratings=read_ratings(rated) if (rated := target.config.tune.judgments) else {},
    )


def _click_model(target: Target) -> ClickModel:
    model: ClickModel = plugins.load("clickmodels", target.config.tune.click_model)()
    return model
