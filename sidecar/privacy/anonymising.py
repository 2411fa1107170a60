"""What happens to events before they touch our disk: names hashed, personal data left out."""

from collections import Counter
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import LogBatch
from desireline.sidecar.privacy.client_names import ClientNames
from desireline.sidecar.privacy.erased_list import ErasedList
from desireline.trainer.logs.personal_data import PersonalData
from desireline.trainer.logs.subnets import SUBNET_ATTRIBUTE, subnet_of

#: Before a subnet when it is hashed, so that no client has its name.
_SUBNET = "\0subnet "

_Named = TypeVar("_Named", Query, Impression, Action)


class Anonymiser:
    """Turns a batch of events into one that may be kept.

    - A client's name becomes a digest under the salt of the event's time.
    - A query whose text holds personal data is left out whole, and so is what the batch says was
      done with it. A text with its number blanked would still be a sentence about a person, and
      "invoice of" teaches an encoder nothing.
    - Of a query's attributes only the subnet stays, hashed as a client's name is.
    - What was erased before stays out.

    How many were left out is counted among the defects, by kind; the texts appear nowhere.
    """

    def __init__(
        self,
        *,
        names: ClientNames,
        personal_data: PersonalData,
        erased: ErasedList,
    ) -> None:
        self._names = names
        self._personal_data = personal_data
        self._erased = erased

    def __call__(self, batch: LogBatch) -> LogBatch:
        """Return what of a batch may be kept; its cursor is unchanged."""
        anything_erased = self._erased.look_again()
        texts = {query.text for query in batch.queries} | {act.text for act in batch.actions}
        held = self._personal_data.held_by(texts)
        unwanted = held.keys() | (
            set(filter(self._erased.bars_query, texts)) if anything_erased else set()
        )
        out = {
            query.query_id
            for query in batch.queries
            if query.text in unwanted or self._erased.bars_client(query.client, query.at)
        } - {""}

        def may_stay(event: _Named) -> bool:
            return event.query_id not in out and not self._erased.bars_client(
                event.client, event.at
            )

        defects = Counter(batch.defects)
        defects.update(
            f"query with {held[query.text]}" for query in batch.queries if query.text in held
        )
        return replace(
            batch,
            queries=tuple(
                self._query(query)
                for query in filter(may_stay, batch.queries)
                if query.text not in unwanted
            ),
            impressions=tuple(map(self._renamed, filter(may_stay, batch.impressions))),
            actions=tuple(
                self._renamed(action)
                for action in filter(may_stay, batch.actions)
                if action.text not in unwanted
            ),
            defects=dict(defects),
        )

    def _renamed(self, event: _Named) -> _Named:
        if not event.client:
            return event
        return replace(event, client=self._names.name(event.client, event.at))

    def _query(self, query: Query) -> Query:
        if not query.attributes:
            return self._renamed(query)
        subnet = subnet_of(query.attributes)
        hashed = self._names.name(f"{_SUBNET}{subnet}", query.at) if subnet else ""
        return replace(
            query,
            client=self._names.name(query.client, query.at),
            attributes=MappingProxyType({SUBNET_ATTRIBUTE: hashed} if hashed else {}),
        )
