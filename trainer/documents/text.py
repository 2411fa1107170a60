"""A document as an encoder reads it."""

from collections.abc import Mapping
from dataclasses import dataclass

from desireline.connectors.documents import TextTemplate


@dataclass(frozen=True, slots=True)
class DocumentText:
    """The rendered fields of a document, in the order of the template; empty ones left out."""

    parts: tuple[str, ...]
    separator: str = ". "

    @classmethod
    def of(cls, fields: Mapping[str, object], template: TextTemplate) -> "DocumentText":
        """Render each field by itself."""
        rendered = (
            TextTemplate(fields=(name,), separator=template.separator).render(fields)
            for name in template.fields
        )
        return cls(parts=tuple(part for part in rendered if part), separator=template.separator)

    @property
    def title(self) -> str:
        """The first field that holds text; empty for an empty document."""
        return self.parts[0] if self.parts else ""

    @property
    def rest(self) -> str:
        """All but the first field."""
        return self.separator.join(self.parts[1:])

    @property
    def text(self) -> str:
        """The whole input, equal to what the template renders."""
        return self.separator.join(self.parts)
