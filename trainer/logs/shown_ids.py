"""Numbers in the place of the ids of shown documents, found out and not believed.

Without an `object_id_field`, OpenSearch's UBI plugin logs the number a hit has inside Lucene,
not its id. Such a number means another document after the next merge, so a page made of them
teaches nothing; and where ids are numbers too it would teach what is wrong.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import polars as pl

from desireline.trainer.logs.frames import LogFrames

DEFECT = "shown ids are Lucene document numbers"
#: Numbers that are looked up, the most frequent first.
_SAMPLE = 200
#: Fewer clicks beside a list of numbers prove nothing.
_ENOUGH_CLICKS = 20
#: Real ids are found, and clicked, far more often than this; numbers hit one by chance.
_BY_CHANCE = 0.05
#: Lucene numbers documents from 0, and at most this many in an index.
_DIGITS = r"^\d{1,10}$"

Known = Callable[[Sequence[str]], Collection[str]]
"""Takes document ids, returns those that are documents."""


def without_document_numbers(frames: LogFrames, known: Known | None = None) -> LogFrames:
    """Empty the lists of shown documents that hold Lucene's numbers, and count them by name.

    Lists of numbers are not believed where the numbers are no documents, or where what was
    clicked is hardly ever on the list of its own search.

    Args:
        frames: the events.
        known: tells documents from other ids; without it only the clicks tell.

    """
    numbered = frames.queries.filter(_is_numbered())
    if not numbered.height or not _is_refuted(numbered, frames.actions, known):
        return frames
    none = pl.lit([], dtype=pl.List(pl.String))
    shown = pl.when(_is_numbered()).then(none).otherwise(pl.col("shown"))
    return replace(
        frames,
        queries=frames.queries.with_columns(shown=shown),
        defects={**frames.defects, DEFECT: numbered.height},
    )


def _is_numbered() -> pl.Expr:
    shown = pl.col("shown")
    return (shown.list.len() > 0) & shown.list.eval(pl.element().str.contains(_DIGITS)).list.all()


def _is_refuted(numbered: pl.DataFrame, actions: pl.DataFrame, known: Known | None) -> bool:
    clicks = actions.join(numbered.select("query_id", "shown"), on="query_id")
    on_list = clicks.filter(pl.col("shown").list.contains(pl.col("document_id"))).height
    agree = bool(clicks.height) and on_list / clicks.height > _BY_CHANCE
    if agree:
        return False
    if clicks.height >= _ENOUGH_CLICKS:
        return True
    return known is not None and not _are_documents(numbered, known)


def _are_documents(numbered: pl.DataFrame, known: Known) -> bool:
    sample = (
        numbered.get_column("shown")
        .explode(empty_as_null=False)
        .value_counts(sort=True)
        .head(_SAMPLE)
        .get_column("shown")
        .to_list()
    )
    return len(known(sample)) > _BY_CHANCE * len(sample)
