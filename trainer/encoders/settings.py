"""What an exported encoder needs to know beside its graph and its tokenizer."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from desireline.connectors.search_engine import Similarity
from desireline.trainer.errors import UnsafeModelError
from desireline.trainer.model_files import SETTINGS


class Prompts(BaseModel):
    """Put before a text, by its role; empty for most encoders."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str = ""
    document: str = ""


class EncoderSettings(BaseModel):
    """How a text becomes the graph's input, and what comes out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: How token vectors become one: `mean`, `cls`, ... or `static` for a plain token table.
    pooling: str
    prompts: Prompts = Prompts()
    dimension: int = Field(gt=0)
    similarity: Similarity = "cosine"
    #: Tokens after this one are cut off; None for encoders without a limit.
    max_seq_length: int | None = Field(default=None, gt=0)
    #: Whether the tokenizer adds its own, such as [CLS] and [SEP].
    special_tokens: bool = True
    pad_token_id: int = Field(default=0, ge=0)

    @classmethod
    def read(cls, folder: Path) -> "EncoderSettings":
        """Read the settings of an exported folder.

        Raises:
            UnsafeModelError: missing or not what an export writes.

        """
        path = folder / SETTINGS
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise UnsafeModelError(
                f"{path} does not hold the settings of an exported encoder: {error}",
                next_step="import the model again from its sentence-transformers folder",
            ) from error

    def write(self, folder: Path) -> None:
        """Write the settings into a folder, in a form that gives equal bytes for equal settings."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True)
        (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")
