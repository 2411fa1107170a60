"""What users did, as values; every click log is translated into these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One execution of one query and the documents it showed."""

    query_id: str
    text: str
    at: datetime
    client: str = ""
    #: Ids of the documents shown, best first; empty when the log does not hold them.
    shown: tuple[str, ...] = ()
    #: Position of the first of `shown`; 21 on the third page of ten.
    first_position: int = 1
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Impression:
    """One document shown to one user for one query."""

    query_id: str
    document_id: str
    #: 1 is the top of the page; None when the log does not say.
    position: int | None
    at: datetime
    client: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing a user did with a document: a click, a cart, a purchase."""

    query_id: str
    document_id: str
    kind: str
    at: datetime
    position: int | None = None
    client: str = ""
    #: What the user had typed, where the log repeats it beside the action.
    text: str = ""


Event = Query | Impression | Action
