"""Documents gathered into windows, and windows cut into batches: functions over batches, no state.

Texts of one length make the best batches for an encoder, and the more there are to choose from
the more alike they get. A window holds enough for that and no more: it is bounded by count and
by the bytes of its text, so that neither a large index nor a large document fills the memory.
"""

from collections.abc import Iterable, Iterator, Sequence

from desireline.sidecar.writing.embedding_writer import Rendered

#: Padding fell to 1.00x from this many documents on; more only cost memory.
WINDOW_DOCUMENTS = 2048
WINDOW_BYTES = 16 * 2**20
#: Text of one batch; a document larger than this is a batch of its own.
BATCH_BYTES = 4 * 2**20


def windows(
    pages: Iterable[Sequence[Rendered]],
    *,
    documents: int = WINDOW_DOCUMENTS,
    text_bytes: int = WINDOW_BYTES,
) -> Iterator[list[Rendered]]:
    """Join pages until a window is full; the last one may be smaller, none is empty.

    A window may be larger by the page that filled it.
    """
    window: list[Rendered] = []
    held = 0
    for page in pages:
        window += page
        held += sum(size(rendered) for rendered in page)
        if len(window) >= documents or held >= text_bytes:
            yield window
            window, held = [], 0
    if window:
        yield window


def by_length(window: Sequence[Rendered]) -> list[Rendered]:
    """Longest text first: what does not fit into the memory shows at once."""
    return sorted(window, key=lambda rendered: len(rendered.text), reverse=True)


def batches(
    window: Sequence[Rendered], *, documents: int, text_bytes: int = BATCH_BYTES
) -> Iterator[list[Rendered]]:
    """Cut in order, bounded by count and by bytes of text; one document is never cut."""
    batch: list[Rendered] = []
    held = 0
    for rendered in window:
        more = size(rendered)
        if batch and (len(batch) == documents or held + more > text_bytes):
            yield batch
            batch, held = [], 0
        batch.append(rendered)
        held += more
    if batch:
        yield batch


def size(rendered: Rendered) -> int:
    """Bytes of the text in UTF-8."""
    text = rendered.text
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
