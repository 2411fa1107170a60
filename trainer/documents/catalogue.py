"""The documents of an index as texts, for an encoder that is made for them alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from desireline.trainer.documents.text import DocumentText
from desireline.trainer.errors import NothingToLearnError

_FILE = "catalogue.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Documents by document_id; none of them empty."""

    documents: Mapping[str, DocumentText]
    #: Categories by document_id; of no other documents, empty where none are to be learned.
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write what `read` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(
            {
                "document_id": list(self.documents),
                "parts": [list(each.parts) for each in self.documents.values()],
                "separator": [each.separator for each in self.documents.values()],
                "categories": [list(self.categories.get(name, ())) for name in self.documents],
            },
            schema={
                "document_id": pl.String,
                "parts": pl.List(pl.String),
                "separator": pl.String,
                "categories": pl.List(pl.String),
            },
        ).write_parquet(folder / _FILE)

    @classmethod
    def read(cls, folder: Path) -> "Catalogue":
        """Read a folder written by `write`.

        Raises:
            NothingToLearnError: there are no documents, or they cannot be read.

        """
        try:
            frame = pl.read_parquet(folder / _FILE)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise NothingToLearnError(
                f"the documents in {folder} cannot be read: {error}; nothing was trained",
                next_step="run the command again: they are taken from the index anew",
            ) from error
        return cls(
            documents={
                name: DocumentText(parts=tuple(parts), separator=separator)
                for name, parts, separator, _ in frame.iter_rows()
            },
            categories={
                name: tuple(categories)
                for name, _, _, categories in frame.iter_rows()
                if categories
            },
        )
