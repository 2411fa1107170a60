"""Query sets and judgments of a cluster: by the search-relevance plugin, or indexes like its.

Where the plugin is installed, its API is asked: an index of the plugin must not be written past
it. Where it is not, lists are kept in two indexes with the plugin's mappings, which a cluster with
the plugin can take over by reindexing.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

import orjson

from desireline.connectors.errors import JudgmentFormatError, PermissionDeniedError
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings, path
from desireline.connectors.relevance_judgments import (
    JudgmentList,
    QuerySet,
    documents_of,
    judgments_document,
    judgments_request,
    parse_judgments,
    parse_query_set,
    query_set_document,
    query_set_request,
)

Kind = Literal["judgments", "query_sets"]
_Found = TypeVar("_Found", JudgmentList, QuerySet)

PLUGIN = "opensearch-search-relevance"
JUDGMENTS_INDEX = "search-relevance-judgment"
QUERY_SETS_INDEX = "search-relevance-queryset"
_API = ("_plugins", "_search_relevance")
#: Lists that are looked through by name.
_MOST_LISTS = 1_000
#: What the plugin takes; # and : only its first releases refused.
LONGEST_NAME = 50
_LONGEST_QUERY = 2_000
_REFUSED_IN_NAMES = re.compile(r'["\\<>]')
_REFUSED_IN_QUERIES = re.compile(r'["\\<>#:\r\n]')
_KEYWORD = {"type": "keyword"}
_UNSEARCHED = {"type": "text", "index": False}
_HEAD = {"id": _KEYWORD, "timestamp": {"type": "date"}, "name": _KEYWORD, "type": _KEYWORD}
_JUDGMENTS = {
    "properties": {
        **_HEAD,
        "status": _KEYWORD,
        "metadata": {"type": "object", "dynamic": True},
        "judgmentRatings": {
            "type": "nested",
            "properties": {
                "query": _UNSEARCHED,
                "ratings": {
                    "type": "nested",
                    "properties": {
                        "docId": _UNSEARCHED,
                        "rating": {"type": "float", "index": False},
                        "confidence": {"type": "float", "index": False},
                    },
                },
            },
        },
    }
}
_QUERY_SETS = {
    "properties": {
        **_HEAD,
        "description": {"type": "text"},
        "sampling": _KEYWORD,
        "querySetQueries": {"type": "nested", "properties": {"queryText": {"type": "text"}}},
    }
}
#: A nested document for each rating: the default limit of 10,000 a document is soon reached.
_SETTINGS = {
    "number_of_shards": 1,
    "auto_expand_replicas": "0-1",
    "mapping.nested_objects.limit": 1_000_000,
}


class SearchRelevance:
    """Lists of judgments and query sets of one cluster."""

    def __init__(self, settings: OpenSearchSettings, *, prefix: str = "") -> None:
        """Connect.

        Args:
            settings: how the cluster is reached.
            prefix: of the two indexes that are used without the plugin.

        """
        self._cluster = Cluster(settings)
        self._judgments = f"{prefix}{JUDGMENTS_INDEX}"
        self._query_sets = f"{prefix}{QUERY_SETS_INDEX}"
        self.by_plugin = self._installed()

    def judgments(self, wanted: str) -> JudgmentList:
        """Return the list with this id or, if there is just one, this name.

        Raises:
            JudgmentFormatError: there is none, or several have the name.

        """
        found = [parse_judgments(body, wanted) for body in self._named("judgments", wanted)]
        return _the_only(found, ("list of judgments", "lists of judgments"), wanted)

    def query_set(self, wanted: str) -> QuerySet:
        """Return the query set with this id or, if there is just one, this name."""
        found = [parse_query_set(body, wanted) for body in self._named("query_sets", wanted)]
        return _the_only(found, ("query set", "query sets"), wanted)

    def add_judgments(self, judgments: JudgmentList) -> str:
        """Keep a list under an id of its own; return the id.

        Raises:
            JudgmentFormatError: the plugin would not take the name.

        """
        _check_name(judgments.name)
        if self.by_plugin:
            answer = self._put("judgments", judgments_request(judgments))
            return str(answer.get("judgment_id", ""))
        return self._index(self._judgments, _JUDGMENTS, judgments_document(judgments))

    def add_query_set(self, queries: QuerySet) -> str:
        """Keep a query set under an id of its own; return the id.

        Raises:
            JudgmentFormatError: the plugin would not take the name, or one of the queries.

        """
        _check_name(queries.name)
        refused = [text for text in queries.queries if not taken_by_plugin(text)]
        if refused:
            raise JudgmentFormatError(
                f"{len(refused)} queries hold characters that search-relevance does not take in a"
                " query set; nothing was handed over"
            )
        if self.by_plugin:
            return str(self._put("query_sets", query_set_request(queries)).get("query_set_id", ""))
        return self._index(self._query_sets, _QUERY_SETS, query_set_document(queries))

    def queries_of(self, kind: Kind, list_id: str) -> tuple[str, ...]:
        """Return the queries of the list with this id; none where it is gone."""
        return tuple(query for each in self._lists(kind, list_id) for query in _queries(each))

    def copy_without(self, kind: Kind, list_id: str, queries: Collection[str]) -> str:
        """Write a list again without some queries; return the id of what was written.

        In an index it takes the old one's place. The plugin gives it an id of its own and keeps
        the old one, which `remove` ends. The id is empty where nothing would be left of it.
        """
        for found in self._lists(kind, list_id):
            if set(_queries(found)) - set(queries):
                return self._add(_without(found, queries))
        return ""

    def remove(self, kind: Kind, list_id: str) -> None:
        """Delete a list; one that is gone already stays so."""
        if self.by_plugin:
            self._call("DELETE", path(*_API, kind, list_id), absent_ok=True)
            return
        place = path(self._index_of(kind), "_doc", list_id)
        self._cluster.call("DELETE", place, params={"refresh": "true"}, absent_ok=True)

    def close(self) -> None:
        """Release the connections."""
        self._cluster.close()

    def _installed(self) -> bool:
        plugins = self._cluster.call("GET", "/_cat/plugins", params={"format": "json"})
        return any(plugin.get("component") == PLUGIN for plugin in plugins)

    def _named(self, kind: str, wanted: str) -> Iterator[Mapping[str, Any]]:
        """Yield the documents with this id, else those with this name."""
        by_id = list(documents_of(self._get(kind, wanted)))
        if by_id:
            yield from by_id
            return
        for body in documents_of(self._get(kind, "")):
            if body.get("name") == wanted:
                # A listing may leave the ratings out; the document itself has them.
                yield from documents_of(self._get(kind, str(body["id"])))

    def _lists(self, kind: Kind, list_id: str) -> Iterator[JudgmentList | QuerySet]:
        for body in documents_of(self._get(kind, list_id)):
            if kind == "judgments":
                yield parse_judgments(body, list_id)
            else:
                yield parse_query_set(body, list_id)

    def _add(self, found: JudgmentList | QuerySet) -> str:
        if isinstance(found, JudgmentList):
            return self.add_judgments(found)
        return self.add_query_set(found)

    def _index_of(self, kind: str) -> str:
        return self._judgments if kind == "judgments" else self._query_sets

    def _get(self, kind: str, document_id: str) -> Any:
        if self.by_plugin:
            place = path(*_API, kind, *filter(None, [document_id]))
            # The plugin reads the size from the body, and refuses it as a parameter.
            body = None if document_id else {"size": _MOST_LISTS}
            return self._call("GET", place, body=body, absent_ok=True)
        index = self._index_of(kind)
        wanted = {"ids": {"values": [document_id]}} if document_id else {"match_all": {}}
        search = {"size": _MOST_LISTS, "query": wanted}
        search |= {} if document_id else {"_source": ["id", "name"]}
        return self._cluster.call("POST", path(index, "_search"), body=search, absent_ok=True)

    def _put(self, kind: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._call("PUT", path(*_API, kind), body=body)
        return answer

    def _call(self, method: str, place: str, **asked: Any) -> Any:
        try:
            return self._cluster.call(method, place, **asked)
        except PermissionDeniedError as error:
            raise PermissionDeniedError(
                str(error),
                next_step="set plugins.search_relevance.workbench_enabled to true in the cluster,"
                " or let this user use search-relevance",
            ) from error

    def _index(self, index: str, mapping: Mapping[str, Any], body: dict[str, Any]) -> str:
        if self._cluster.call("GET", path(index), absent_ok=True) is None:
            made = {"settings": _SETTINGS, "mappings": mapping}
            self._cluster.call("PUT", path(index), body=made)
        digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
        document_id = body["id"] or digest[:32]
        self._cluster.call(
            "PUT",
            path(index, "_doc", document_id),
            params={"refresh": "true"},
            body={**body, "id": document_id},
        )
        return str(document_id)


def taken_by_plugin(query: str) -> bool:
    """Tell whether every release of the plugin takes this query in a query set."""
    return 0 < len(query) <= _LONGEST_QUERY and not _REFUSED_IN_QUERIES.search(query)


def _queries(found: JudgmentList | QuerySet) -> tuple[str, ...]:
    return tuple(found.ratings) if isinstance(found, JudgmentList) else found.queries


def _without(found: JudgmentList | QuerySet, queries: Collection[str]) -> JudgmentList | QuerySet:
    if isinstance(found, JudgmentList):
        kept = {query: row for query, row in found.ratings.items() if query not in queries}
        return replace(found, ratings=kept)
    return replace(found, queries=tuple(each for each in found.queries if each not in queries))


def _check_name(name: str) -> None:
    if not 0 < len(name) <= LONGEST_NAME or _REFUSED_IN_NAMES.search(name):
        raise JudgmentFormatError(
            f"search-relevance does not take the name {name!r}; nothing was handed over",
            next_step=f'give a --name of at most {LONGEST_NAME} characters without " \\ < >',
        )


def _the_only(found: list[_Found], what: tuple[str, str], wanted: str) -> _Found:
    if len(found) == 1:
        return found[0]
    some = f"{len(found)} {what[1]}" if found else f"no {what[0]}"
    raise JudgmentFormatError(
        f"the cluster has {some} {wanted!r}; nothing was imported",
        next_step="give the id of one, as search-relevance shows it",
    )
