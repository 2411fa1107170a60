"""The in-batch miners of pytorch-metric-learning by their names."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_metric_learning import distances, miners

from desireline.trainer.errors import LossError
from desireline.trainer.losses.rows import Rows
from desireline.trainer.naming import take_one_of

#: Takes no more than each row's own negatives; ours, since nothing is packaged here.
PACKAGED = "EmbeddingsAlreadyPackagedAsTriplets"
MINERS = (
    "AngularMiner",
    "BatchEasyHardMiner",
    "BatchHardMiner",
    "DistanceWeightedMiner",
    "HDCMiner",
    "MultiSimilarityMiner",
    "PairMarginMiner",
    "TripletMarginMiner",
    "UniformHistogramMiner",
    PACKAGED,
)
#: What TripletMarginMiner may keep; it would take another word for all that violate the margin.
_KINDS = ("all", "easy", "hard", "semihard")

Mined = tuple[torch.Tensor, ...]
"""Anchor, positive, negative; or anchor, positive, anchor, negative: rows and columns."""


class InBatchMiner:
    """Chooses the pairs or triplets of a batch that teach most.

    The library tells positives from negatives by one label a text. What is related to an anchor
    is neither, so rows that see the same passages are mined together, over those alone.
    """

    def __init__(self, name: str | None, options: Mapping[str, Any]) -> None:
        self._own_alone = name == PACKAGED
        self._miner = None if name is None or self._own_alone else _made(name, options)

    def mine(self, anchors: torch.Tensor, passages: torch.Tensor, rows: Rows) -> Mined:
        """Return the chosen rows and columns; without a miner all fair ones."""
        if self._own_alone:
            row, column, _ = rows.own
            return row, rows.target[row], column
        if self._miner is None:
            return (*torch.where(rows.positives), *torch.where(rows.negatives))
        seen, group = torch.unique(rows.positives | rows.negatives, dim=0, return_inverse=True)
        found = [
            self._of_group(anchors, passages, rows, torch.where(group == number)[0], there)
            for number, there in enumerate(seen)
        ]
        return tuple(torch.cat(part) for part in zip(*found, strict=True))

    def _of_group(
        self,
        anchors: torch.Tensor,
        passages: torch.Tensor,
        rows: Rows,
        some: torch.Tensor,
        there: torch.Tensor,
    ) -> Mined:
        columns = torch.where(there)[0]
        assert self._miner is not None
        mined = self._miner(
            anchors[some].detach(),
            rows.document[rows.target[some]],
            passages[columns].detach(),
            rows.document[columns],
        )
        places = (some, columns, columns) if len(mined) == 3 else (some, columns, some, columns)  # noqa: PLR2004 - triplets
        return tuple(place[part] for place, part in zip(places, mined, strict=True))


def _made(name: str, options: Mapping[str, Any]) -> Any:
    if name not in MINERS:
        raise LossError(
            f"{name!r} is not an in-batch miner of pytorch-metric-learning that finds anchors"
            " their passages; nothing was trained",
            next_step=take_one_of(name, MINERS),
        )
    kind = options.get("type_of_triplets", "all")
    if name == "TripletMarginMiner" and kind not in _KINDS:
        raise LossError(
            f"{name} has type_of_triplets {kind!r}; nothing was trained",
            next_step=take_one_of(str(kind), _KINDS),
        )
    with made_by_name(name, options):
        found = getattr(miners, name)
        check_kinds(found, options)
        return found(**with_distance(options))


def with_distance(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the options with a distance that is named as an object."""
    found = dict(options)
    if isinstance(found.get("distance"), str):
        found["distance"] = getattr(distances, found["distance"])()
    return found


def check_kinds(made: type, options: Mapping[str, Any]) -> None:
    """Raise TypeError where an option is text and its default a number: the library finds it late.

    So it is with truth values.
    """
    usual = inspect.signature(made).parameters
    for name, value in options.items():
        default = usual[name].default if name in usual else None
        number = isinstance(default, int | float) and not isinstance(value, int | float)
        if number or (isinstance(default, bool) and not isinstance(value, bool)):
            raise TypeError(f"{name} is {value!r}, expected something like {default!r}")


@contextmanager
def made_by_name(name: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Turn what the library says of wrong options into one sentence."""
    try:
        yield
    except (TypeError, ValueError, AttributeError, AssertionError) as error:
        raise LossError(
            f"{name} cannot be made with {dict(options)}: {error}; nothing was trained",
            next_step=f"look at pytorch-metric-learning's page of {name} for its options",
        ) from error
