"""Queries and documents of people's own: every row is checked before anything is made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path

from desireline.connectors.documents import TextTemplate
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.errors import TrainingDataError
from desireline.trainer.synthesis.rows import Cells, Rows, Source
from desireline.trainer.synthesis.text_store import TextStore, TextWriter, stored

NOBODY = -1
"""In the place of the document of a query that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """A catalogue on the disk: distinct texts, by their number."""

    texts: TextStore
    #: What queries are cut from; an empty one where a document has none.
    titles: TextStore
    #: What the source calls it; empty where it names none.
    names: TextStore
    #: Further names of documents whose text is another's.
    aliases: Mapping[str, int]
    #: Equal for equal documents in equal order.
    digest: str
    rows: int
    titled: bool
    named: bool

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """Distinct pairs of a query and the document that is right for it, if one is known."""

    texts: TextStore
    #: Number of the document, or `NOBODY`.
    documents: Sequence[int]
    rows: int


def digest_of(source: Source) -> str:
    """Return the SHA-256 of a file's bytes, or of rows.

    Raises:
        TrainingDataError: the file cannot be read.

    """
    total = sha256()
    if not isinstance(source, str | Path):
        for row in source:
            total.update(repr(row).encode("utf-8", "surrogatepass") + b"\n")
        return total.hexdigest()
    try:
        with Path(source).expanduser().open("rb") as file:
            while some := file.read(1 << 20):
                total.update(some)
    except OSError as error:
        raise TrainingDataError(
            f"{source} cannot be read: {error.strerror or error}; nothing was made",
            next_step="give a .csv, .tsv, .txt, .ndjson, .jsonl or .parquet file",
        ) from error
    return total.hexdigest()


def read_documents(source: Source, fields: Sequence[str], folder: Path) -> Documents:
    """Read and check every document, once; the next call finds them in the folder.

    Documents of the same text are one. While they are read, memory holds each name and a digest
    of each text.

    Raises:
        TrainingDataError: rows are wrong (all counted, twenty named), or there are none.

    """
    digest = sha256(repr((digest_of(source), tuple(fields))).encode()).hexdigest()

    def fill(texts: TextWriter, titles: TextWriter, names: TextWriter) -> dict[str, object]:
        return _Documents(source, tuple(fields), texts, titles, names).fill()

    said = stored(folder, digest, ("texts", "titles", "names"), fill)
    aliases = said["aliases"]
    assert isinstance(aliases, dict)
    return Documents(
        texts=TextStore(folder / "texts"),
        titles=TextStore(folder / "titles"),
        names=TextStore(folder / "names"),
        aliases=aliases,
        digest=digest,
        rows=int(str(said["rows"])),
        titled=bool(said["titled"]),
        named=bool(said["named"]),
    )


class _Documents:
    """One reading of a catalogue."""

    def __init__(
        self,
        source: Source,
        fields: tuple[str, ...],
        texts: TextWriter,
        titles: TextWriter,
        names: TextWriter,
    ) -> None:
        self._rows = Rows(source, ("document_id", "text"), {"title": ("title",)}, fields)
        self._fields = fields
        self._writers = (texts, titles, names)
        self._numbers: dict[bytes, int] = {}
        self._lines: dict[str, tuple[int, int]] = {}
        self._aliases: dict[str, int] = {}
        self._titled = False

    def fill(self) -> dict[str, object]:
        """Write every distinct document; raise if any row is wrong."""
        for cells in self._rows:
            self._take(cells)
        self._rows.raise_problems("a text in each row, and another document_id")
        return {
            "rows": self._rows.count,
            "titled": self._titled,
            "named": bool(self._lines),
            "aliases": self._aliases,
        }

    def _take(self, cells: Cells) -> None:
        text, title = self._rendered(cells)
        name = cells.text("document_id") if cells.has("document_id") else ""
        if not text or (cells.has("document_id") and not name):
            return
        key = blake2b(text.encode(), digest_size=16).digest()
        number = self._numbers.setdefault(key, len(self._numbers))
        if name and self._repeated(cells, name, number):
            return
        if number == self._written:
            self._write(text, title, name)
        elif name:
            self._aliases[name] = number

    @property
    def _written(self) -> int:
        return self._writers[0].count

    def _write(self, text: str, title: str, name: str) -> None:
        self._titled = self._titled or bool(title)
        for writer, value in zip(self._writers, (text, title, name), strict=True):
            writer.add(value)

    def _repeated(self, cells: Cells, name: str, number: int) -> bool:
        """Say whether the name is known already; it is wrong where it was another text's."""
        line, before = self._lines.setdefault(name, (cells.line, number))
        if before != number:
            cells.wrong(name, f"another document_id than that of line {line}")
        return line != cells.line

    def _rendered(self, cells: Cells) -> tuple[str, str]:
        fields = self._fields or tuple(name for name in ("title", "text") if cells.has(name))
        strange = next(filter(cells.strange, (*fields, "title")), None)
        if strange is not None:
            cells.wrong(cells.values[strange], f"text in {strange}")
            return "", ""
        document = DocumentText.of(cells.values, TextTemplate(fields=fields or ("text",)))
        if not document.parts:
            cells.wrong(None, f"text in {' or '.join(fields) or 'text'}")
        title = str(cells.values.get("title") or "").strip()
        if not title and len(document.parts) > 1:
            title = document.title
        return storable(document.text), storable(title)


def read_queries(source: Source, documents: Documents, folder: Path) -> Queries:
    """Read and check every query; the same query for the same document twice is one.

    Raises:
        TrainingDataError: rows are wrong, among them those that name no document there is.

    """
    digest = sha256(f"{digest_of(source)} {documents.digest}".encode()).hexdigest()

    def fill(texts: TextWriter, numbers: TextWriter) -> dict[str, object]:
        return _fill_queries(source, documents, texts, numbers)

    said = stored(folder, digest, ("texts", "documents"), fill)
    numbers = TextStore(folder / "documents")
    return Queries(
        texts=TextStore(folder / "texts"),
        documents=[int(text) for text in numbers.texts(range(len(numbers)))],
        rows=int(str(said["rows"])),
    )


def _fill_queries(
    source: Source, documents: Documents, texts: TextWriter, numbers: TextWriter
) -> dict[str, object]:
    rows = Rows(source, ("query", "document_id"), {}, ())
    known: dict[str, int] | None = None
    seen: set[tuple[bytes, int]] = set()
    for cells in rows:
        query = storable(cells.text("query"))
        name = str(cells.values.get("document_id") or "").strip()
        if name and known is None:
            known = numbers_by_name(documents)
        number = known.get(name, NOBODY) if name and known is not None else NOBODY
        if name and number == NOBODY:
            cells.wrong(name, "the document_id of a document there is")
        key = (blake2b(query.encode(), digest_size=16).digest(), number)
        if query and key not in seen:
            seen.add(key)
            texts.add(query)
            numbers.add(str(number))
    rows.raise_problems("a query in each row")
    return {"rows": rows.count}


def numbers_by_name(documents: Documents) -> dict[str, int]:
    """Return the number of each document by its names."""
    names = documents.names.texts(range(len(documents)))
    return {**{name: number for number, name in enumerate(names) if name}, **documents.aliases}


def storable(text: str) -> str:
    """Return a text without halves of characters, which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
