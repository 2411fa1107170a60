"""What the documents of a target say of their categories."""

from collections.abc import Mapping
from dataclasses import dataclass

from desireline.connectors.documents import TextTemplate
from desireline.connectors.engines.source import text_of
from desireline.connectors.search_engine import Read
from desireline.sidecar.errors import IntentError
from desireline.sidecar.target import Target
from desireline.trainer.intent.lessons import categories_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The documents' categories and titles, by document_id."""

    #: Name of the field, and of the one that filters ask about.
    field: str
    filter_field: str
    categories: Mapping[str, tuple[str, ...]]
    titles: Mapping[str, str]


def read_catalogue(target: Target) -> Catalogue:
    """Read every document's categories and title.

    Raises:
        IntentError: no document has a category, or they cannot be filtered by.

    """
    field = target.config.intent.category
    assert field is not None, "asked only where a field is named"
    described = target.engine.describe(target.config.index)
    template = target.config.template
    read = Read(fields=(*template.fields, field), batch_size=1000)
    categories: dict[str, tuple[str, ...]] = {}
    titles: dict[str, str] = {}
    for documents in target.engine.scan(target.config.index, read):
        for document in documents:
            named = categories_of(document.fields.get(field))
            if named:
                categories[document.document_id] = named
                titles[document.document_id] = _title(document.fields, template)
    if not categories:
        raise IntentError(
            f"no document of {target.config.index} has a field {field!r} that holds a category",
            next_step=f"correct intent.category of targets.{target.name}",
        )
    exact = described.exact(field)
    if not exact and target.config.intent.use == "filter":
        raise IntentError(
            f"the field {field!r} is searched by its words, so nothing can be filtered by it",
            next_step=f'map it as keyword, or give it a keyword inside, or set use = "boost" in'
            f" targets.{target.name}.intent",
        )
    return Catalogue(field=field, filter_field=exact or field, categories=categories, titles=titles)


def _title(fields: Mapping[str, object], template: TextTemplate) -> str:
    """Return the first field of a document that holds text."""
    return next(filter(None, (text_of(fields.get(name)) for name in template.fields)), "")
