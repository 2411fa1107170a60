"""How an encoder reads its documents before pairs teach it; no torch is needed to say so."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.errors import NothingToLearnError

ObjectiveName = Literal["tsdae", "simcse", "mlm"]
"""What texts alone may teach by."""


class SelfSupervisedConfig(BaseModel, frozen=True, extra="forbid"):
    """How texts alone teach, before pairs do."""

    objective: ObjectiveName = Field(
        description="tsdae (a small decoder rebuilds a text from the vector of some of its words),"
        " simcse (a text is to find itself under another dropout) or mlm (hidden words)."
    )
    epochs: float = Field(default=1.0, gt=0, description="Most times every text is read.")
    max_steps: int = Field(
        default=300, ge=1, description="Reading ends here, or at epochs or its share of the budget."
    )
    budget_share: float = Field(
        default=0.5, gt=0, lt=1, description="Most of fit.budget_s that it may take."
    )
    batch_texts: int = Field(default=32, ge=2, description="Texts in a batch.")
    learning_rate: float = Field(default=1e-5, gt=0, description="Of the encoder, at its peak.")
    thrown_away_learning_rate: float = Field(
        default=3e-3, gt=0, description="Of weights that are thrown away afterwards, at its peak."
    )
    head_start: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="Of tsdae and mlm: share of the steps in which such weights learn alone. Before"
        " they know anything they would only shake the encoder.",
    )
    deleted: float = Field(
        default=0.6, gt=0, lt=1, description="Of tsdae: chance that a word is left out."
    )
    hidden: float = Field(
        default=0.15, gt=0, lt=1, description="Of mlm: chance that a token is to be guessed."
    )
    scale: float = Field(
        default=20.0, gt=0, description="Of simcse: what a cosine is multiplied by."
    )


def write_texts(texts: Sequence[str], path: Path) -> None:
    """Write what `read_texts` reads."""
    pl.DataFrame({"text": texts}, schema={"text": pl.String}).write_parquet(path)


def read_texts(path: Path) -> list[str]:
    """Read a file written by `write_texts`.

    Raises:
        NothingToLearnError: it cannot be read.

    """
    try:
        return pl.read_parquet(path).get_column("text").to_list()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise NothingToLearnError(f"the texts in {path} cannot be read: {error}") from error
