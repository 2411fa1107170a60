"""What a query-side model must share with the encoder that embeds its documents."""

from collections.abc import Iterable

from desireline.connectors.documents import TextTemplate
from desireline.trainer.encoders.settings import EncoderSettings
from desireline.trainer.errors import NotQuerySideError
from desireline.trainer.models.manifest import Manifest


def refuse_unlike(documents: Manifest, queries: EncoderSettings, template: TextTemplate) -> None:
    """Refuse a query encoder whose vectors cannot be compared with an encoder's documents.

    Raises:
        NotQuerySideError: the other is a query-side model, or of another dimension, similarity
            or text template.

    """
    name = documents.fingerprint[:12]
    if documents.documents is not None:
        raise NotQuerySideError(
            f"the model {name} is a query-side model and embeds no document; nothing was added",
            next_step=f"name the encoder of its documents, {documents.documents}",
        )
    pairs = (
        ("dimension", queries.dimension, documents.dimension),
        ("similarity", queries.similarity, documents.settings.similarity),
        ("text template", template, documents.text_template),
    )
    for what, ours, theirs in pairs:
        if ours != theirs:
            raise NotQuerySideError(
                f"the query encoder has the {what} {ours}, and the encoder {name} of its"
                f" documents has {theirs}; nothing was added",
                next_step="make the query encoder from that encoder, or register it as a model"
                " of its own",
            )


def with_their_documents(kept: Iterable[str], manifests: Iterable[Manifest]) -> set[str]:
    """Return models, and the encoders that embed their documents."""
    names = set(kept)
    spaces = {m.documents for m in manifests if m.documents and m.fingerprint in names}
    return names | spaces
