"""Models that serve, or may, are shared with the other machines; a dead registry stops nothing.

Nothing remembers what is left to share: it is what generations use and the shared registry does
not hold, looked up anew each time. So no crash loses it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import structlog

from desireline.connectors.errors import DesirelineError
from desireline.connectors.state_store import StateStore
from desireline.sidecar.generations import GENERATION, State
from desireline.trainer.models.query_side import with_their_documents
from desireline.trainer.registry import Registry

log = structlog.get_logger(__name__)

IN_USE = {State.BUILDING, State.READY, State.LIVE, State.RETAINED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How the sharing of one model went."""

    fingerprint: str
    sentence: str
    #: It is left for later.
    failed: bool = False
    #: Something was sent; it may have been there already.
    sent: bool = False


def share(registry: Registry, fingerprints: Iterable[str], *, vouch: bool = False) -> list[Sharing]:
    """Share models, and those that embed their documents; never raises.

    Args:
        registry: where they are; without a shared one nothing is done.
        fingerprints: of models; those that are not on this machine are left out.
        vouch: sign them even where they are shared already.

    """
    if registry.shared is None:
        return []
    here = {manifest.fingerprint: manifest for manifest in registry.list()}
    wanted = with_their_documents(fingerprints, here.values())
    return [_shared(registry, each, vouch=vouch) for each in sorted(wanted & here.keys())]


def in_use(store: StateStore) -> set[str]:
    """Return the models that serve, or may, for any target."""
    return {
        record.body["fingerprint"]
        for record in store.list(GENERATION)
        if record.body["state"] in IN_USE
    }


def still_shared(registry: Registry, learned: Iterable[str]) -> Iterator[str]:
    """Yield what an erasure does not reach in the shared registry, and what to do about it.

    Args:
        registry: of this machine.
        learned: fingerprints of models here that learned from what was erased.

    """
    if registry.shared is None:
        return
    place = registry.shared.name
    try:
        there = set(registry.shared.fingerprints())
    except DesirelineError:
        yield f"{place} could not be looked at: models in it may have learned from it"
        return
    for fingerprint in sorted(there.intersection(learned)):
        yield (
            f"the model {fingerprint[:12]} learned from it and is shared: delete"
            f" {place}/{fingerprint} when no machine serves it any more"
        )
    if gone := there.difference(registry.names()):
        yield (
            f"{place} holds {len(gone)} models that this machine no longer has or never had, and"
            " nobody here can say what they learned from: delete those that no machine serves"
        )


def _shared(registry: Registry, fingerprint: str, *, vouch: bool) -> Sharing:
    assert registry.shared is not None
    named = f"encoder {fingerprint[:12]}"
    try:
        registry.verify(fingerprint)
        pushed = registry.shared.push(registry.folder(fingerprint), vouch=vouch)
    except (DesirelineError, OSError) as error:
        log.warning("a model could not be shared yet", model=fingerprint, reason=str(error))
        sentence = f"{named} could not be shared, and is tried again later: {error}"
        return Sharing(fingerprint=fingerprint, sentence=sentence, failed=True)
    sentence = f"{named}: {pushed.sentence}"
    return Sharing(fingerprint=fingerprint, sentence=sentence, sent=pushed.sent)
