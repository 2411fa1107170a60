"""Models and cached vectors that nothing will serve again, removed: no night fills the disk."""

from desireline.connectors.state_store import StateStore
from desireline.sidecar.models.sharing import in_use
from desireline.sidecar.reports.cycle_report import CYCLE, Outcome
from desireline.sidecar.writing.embedding_cache import EmbeddingCache
from desireline.trainer.models.query_side import with_their_documents
from desireline.trainer.registry import Registry

#: Tuned encoders kept beside those in use, for whoever wants to look at them or go back further.
_KEPT = 3


def sweep(store: StateStore, registry: Registry, cache: EmbeddingCache) -> list[str]:
    """Remove all but the newest tuned encoders that no generation of any target uses.

    It is about this machine: what is shared stays there, whoever may serve it. Encoders that were
    imported stay: training begins from them. So do those that embed the
    documents of a query-side model that stays, and what a cycle made that is still choosing.
    Returns the fingerprints that were removed.
    """
    manifests = registry.list()
    running = {
        record.body["cycle"]
        for record in store.list(CYCLE)
        if record.body["outcome"] == Outcome.RUNNING
    }
    used = in_use(store)
    idle = [
        manifest
        for manifest in manifests
        if manifest.provenance.parent is not None
        and manifest.fingerprint not in used
        and manifest.provenance.cycle_id not in running
    ]
    newest_first = sorted(idle, key=lambda manifest: manifest.created_at, reverse=True)
    kept = {manifest.fingerprint for manifest in newest_first[:_KEPT]}
    needed = with_their_documents(used | kept, manifests)
    # Query-side models go first: the encoder of their documents cannot go before them.
    gone = sorted(newest_first[_KEPT:], key=lambda manifest: manifest.documents is None)
    removed = [each.fingerprint for each in gone if each.fingerprint not in needed]
    for fingerprint in removed:
        registry.remove(fingerprint)
        cache.forget(fingerprint)
    return removed
