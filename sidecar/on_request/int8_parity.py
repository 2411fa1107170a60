"""How near an int8 form is to what it was made from, on this target's own texts.

Asked before the gate, which asks for clicks. The gate sees what the held-out queries have clicks
on; this sees every answer, whether anybody ever clicked it.
"""

import heapq
from collections.abc import Sequence
from hashlib import blake2b

from desireline.sidecar.judging.examination import Reading
from desireline.sidecar.target import Target
from desireline.trainer.forms.parity import Parity, compare

#: Documents that are drawn, always the same ones.
DOCUMENTS = 2_000
QUERIES = 300


def int8_parity(target: Target, exact: str, rough: str, queries: Sequence[str]) -> Parity | None:
    """Compare two registered encoders on a sample of the target's documents and some queries.

    Args:
        target: whose documents.
        exact: fingerprint of the encoder.
        rough: fingerprint of its int8 form.
        queries: that judge; the first ones of them are taken.

    Returns None where there is no text to compare them by: then nothing can be judged, either.

    """
    texts = Reading(target).texts(exact)
    drawn = heapq.nsmallest(DOCUMENTS, (name for name in texts if texts[name]), key=_lot)
    if not drawn or not queries:
        return None
    return compare(
        target.encoders.get(exact),
        target.encoders.get(rough),
        {name: texts[name] for name in drawn},
        list(queries)[:QUERIES],
    )


def _lot(document_id: str) -> bytes:
    return blake2b(document_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
