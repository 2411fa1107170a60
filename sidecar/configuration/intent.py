"""What a user may say about query intent; every field carries its own description."""

from typing import Literal

from pydantic import Field

from desireline.sidecar.configuration.settings import Settings


class IntentConfig(Settings):
    """What a query means in categories of the index, and what searches make of it."""

    category: str | None = Field(
        default=None,
        min_length=1,
        examples=["category"],
        description="Field of the index that holds each document's category, or several; left out:"
        " no intent is learned.",
    )
    use: Literal["off", "boost", "filter"] = Field(
        default="off",
        description="What a search through the sidecar makes of it: off (nothing: /v1/intent tells"
        " it all the same), boost (documents of the likely categories come nearer) or filter (only"
        " they are searched, where the head is sure).",
    )
    boost: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="By how much of a cosine a document of a category comes nearer that is sure to"
        " be meant; of a less likely one by that share of it.",
    )
    min_confidence: float = Field(
        default=0.9,
        gt=0,
        lt=1,
        description="How likely the named categories together must be right; with less the head"
        " abstains, and no search is filtered.",
    )
    max_categories: int = Field(
        default=3, ge=1, le=100, description="Most categories that are named for one query."
    )
    min_hits: int = Field(
        default=5,
        ge=0,
        description="A filtered search with fewer hits, where more were asked for, is asked again"
        " without the filter.",
    )
    min_queries: int = Field(
        default=50, ge=10, description="With fewer queries to learn from no head is learned."
    )
    max_titles: int = Field(
        default=5_000,
        ge=0,
        description="Most titles of the catalogue that teach beside queries; each is encoded every"
        " night.",
    )
