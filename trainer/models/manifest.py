"""What a registered model is: its files, its settings, where it came from."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from desireline.connectors.documents import TextTemplate
from desireline.trainer.encoders.settings import EncoderSettings
from desireline.trainer.model_files import GRAPH
from desireline.trainer.model_settings import TOKENIZER

FORMAT = 1
#: The manifest's own file in a model's folder.
MANIFEST = "manifest.json"
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
#: Begins the names of folders in a registry that are no models yet.
PENDING = ".adding-"

Mode = Literal["base", "adapter", "bridge", "query", "lora", "full", "small"]


class FileRecord(BaseModel):
    """One file of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    bytes: int


class Template(BaseModel):
    """The text template as stored; `TextTemplate` is the one that renders."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: tuple[str, ...]
    separator: str


class Provenance(BaseModel):
    """Where a model came from; decides no vector, so it is not part of the fingerprint.

    What a newer desireline says more is passed over: machines that share models need not be
    brought up to date at the same moment.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    #: Name of the encoder it all started from.
    base_model: str
    #: Fingerprint of the model it was made from; None for an imported one.
    parent: str | None = None
    #: Fingerprint of the encoder that a compact one learned from, beside the pairs.
    teacher: str | None = None
    #: What was trained: nothing of it (`base`), queries alone, or both sides.
    mode: Mode = "full"
    #: Of the weights; int8 is made from its parent without training.
    precision: Literal["float32", "int8"] = "float32"
    cycle_id: str | None = None
    #: First and last moment of the log it learnt from.
    data_window: tuple[datetime, datetime] | None = None
    seed: int | None = None
    code_version: str = ""
    #: Pairs it learnt from.
    pairs: int = 0
    #: As the card of an imported model names it; of a tuned one, see what it was made from.
    licence: str | None = None


class Manifest(BaseModel):
    """A registered model, as in its `manifest.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    fingerprint: str
    files: Mapping[str, FileRecord]
    settings: EncoderSettings
    template: Template
    #: Fingerprint of the registered encoder that embeds the documents, where this one, a
    #: query-side model, embeds queries alone.
    documents: str | None = None
    provenance: Provenance
    created_at: AwareDatetime

    @classmethod
    def of(
        cls,
        *,
        files: Mapping[str, FileRecord],
        settings: EncoderSettings,
        template: TextTemplate,
        provenance: Provenance,
        created_at: datetime,
        documents: str | None = None,
    ) -> Self:
        """Bind the parts under their fingerprint."""
        stored = Template(fields=template.fields, separator=template.separator)
        return cls(
            fingerprint=fingerprint(files, settings, stored, documents),
            files=files,
            settings=settings,
            template=stored,
            documents=documents,
            provenance=provenance,
            created_at=created_at,
        )

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.settings.dimension

    @property
    def space(self) -> str:
        """Fingerprint of the encoder whose document vectors its queries are compared with."""
        return self.documents or self.fingerprint

    @property
    def recomputed(self) -> str:
        """The fingerprint that its parts give; another one than its own: it was changed."""
        return fingerprint(self.files, self.settings, self.template, self.documents)

    @property
    def text_template(self) -> TextTemplate:
        """How documents are rendered into this encoder's input."""
        return TextTemplate(fields=self.template.fields, separator=self.template.separator)


def fingerprint(
    files: Mapping[str, FileRecord],
    settings: EncoderSettings,
    template: Template,
    documents: str | None = None,
) -> str:
    """SHA-256 over canonical JSON of all that decides a vector, and of nothing else.

    Names, times, provenance and the configuration of training libraries stay out: two models
    that give the same vectors are one, and an index is not embedded again for a new label.
    `documents` is part of it only where it is set: models without it keep the fingerprints that
    they had before there was such a field.
    """
    deciding: dict[str, object] = {
        "files": {
            name: record.sha256
            for name, record in files.items()
            if name in (GRAPH, TOKENIZER) or name.endswith(".safetensors")
        },
        "settings": settings.model_dump(mode="json"),
        "template": template.model_dump(mode="json"),
    }
    if documents is not None:
        deciding["documents"] = documents
    canonical = json.dumps(deciding, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
