"""Every number of the health report against a slow loop over the same events."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.trainer.evaluation import by_frequency
from desireline.trainer.logs.bots import BotConfig
from desireline.trainer.logs.figures import POSITIONS, SHOWN_FROM_CLIENTS, Place
from desireline.trainer.query_text import normalise
from desireline.trainer.sessions import SessionConfig, to_sessions

START = datetime(2025, 3, 3, 9, tzinfo=UTC)
#: Nobody is left out: these logs are about counting, not about whom to believe.
EVERYBODY = SessionConfig(min_clients=1, bots=BotConfig(floor_a_day=10_000, floor_in_all=10_000))
COUNTS = frozenset(EVERYBODY.actions)

IDS = st.sampled_from(["", *(f"q{n}" for n in range(12))])
TEXTS = st.sampled_from(["", "tea", " TEA ", "茶  \u3000杯", "Straße", "red\u202eshoe", "tea pot"])
CLIENTS = st.sampled_from(["", *(f"c{n}" for n in range(8))])
DOCUMENTS = st.sampled_from(["", "a", "b", "c", "d", "ü"])
POSITION = st.none() | st.integers(-1, 30)
TIMES = st.integers(0, 400).map(lambda hours: START + timedelta(hours=hours))

QUERIES = st.builds(
    Query,
    query_id=IDS,
    text=TEXTS,
    at=TIMES,
    client=CLIENTS,
    shown=st.lists(st.sampled_from("abcdef"), max_size=25).map(tuple),
    first_position=st.sampled_from([1, 1, 11]),
)
IMPRESSIONS = st.builds(
    Impression,
    query_id=IDS,
    document_id=DOCUMENTS.filter(bool),
    position=POSITION,
    at=TIMES,
    client=CLIENTS,
)
ACTIONS = st.builds(
    Action,
    query_id=IDS,
    document_id=DOCUMENTS,
    kind=st.sampled_from(["click", "purchase", "hover", "search"]),
    position=POSITION,
    at=TIMES,
    client=CLIENTS,
    text=TEXTS,
)


def health_of(queries, impressions, actions, config=EVERYBODY):
    batch = LogBatch(
        cursor=Cursor(""),
        queries=tuple(queries),
        impressions=tuple(impressions),
        actions=tuple(actions),
    )
    return to_sessions([batch], config).health


class SlowLog:
    """The same log, counted event by event."""

    def __init__(self, queries, impressions, actions) -> None:
        from_zero = any(event.position == 0 for event in (*impressions, *actions))
        self.shift = 1 if from_zero else 0
        self.searches = self._once(
            (q for q in queries if q.query_id and normalise(q.text)),
            lambda q: (q.query_id, q.first_position, q.shown),
        )
        self.impressions = [i for i in impressions if i.query_id]
        self.actions = self._once(actions, lambda a: (a.query_id, a.document_id, a.kind, a.at))
        self.logged = {q.query_id for q in self.searches}
        self.by_text = {
            self.search_of(a)
            for a in self.actions
            if normalise(a.text) and self.search_of(a) not in self.logged
        }
        self.texts: dict[str, str] = {}
        self.clients: dict[str, str] = {}
        for search in self.searches:
            self._know(search.query_id, search.text, search.client)
        for action in self.actions:
            if normalise(action.text):
                self._know(self.search_of(action), action.text, action.client)
        self.shown: dict[tuple[str, str], int | None] = {}
        self.clicked: set[tuple[str, str]] = set()
        self._join()

    @staticmethod
    def _once(events, key):
        first = {}
        for event in events:
            first.setdefault(key(event), event)
        return list(first.values())

    def _know(self, query_id: str, text: str, client: str) -> None:
        self.texts.setdefault(query_id, normalise(text))
        self.clients.setdefault(query_id, client)

    def search_of(self, action) -> str:
        if action.query_id or not normalise(action.text):
            return action.query_id
        return f"{action.client} {action.at.date()} {normalise(action.text)}"

    def _join(self) -> None:
        for search in self.searches:
            for offset, document_id in enumerate(search.shown):
                self._show(search.query_id, document_id, search.first_position + offset)
        for event in self.impressions:
            self._show(event.query_id, event.document_id, self._at(event.position))
        for action in self.actions:
            search = self.search_of(action)
            if search in self.texts and action.kind in COUNTS and action.document_id:
                self.clicked.add((search, action.document_id))
                if self.shown.get((search, action.document_id), 0) is None:
                    self.shown[search, action.document_id] = self._at(action.position)

    def _at(self, position: int | None) -> int | None:
        return None if position is None or position < 0 else position + self.shift

    def _show(self, query_id: str, document_id: str, position: int | None) -> None:
        if query_id in self.texts and self.shown.get((query_id, document_id)) is None:
            self.shown[query_id, document_id] = position

    def typed(self) -> dict[str, int]:
        return Counter(self.texts.values())

    def typed_by(self) -> dict[str, set[str]]:
        clients: dict[str, set[str]] = defaultdict(set)
        for query_id, text in self.texts.items():
            clients[text] |= {self.clients[query_id]} - {""}
        return clients


def place(log: SlowLog, position: int | None, among: set[int | None]) -> Place:
    there = [key for key, at in log.shown.items() if at in among]
    clicks = sum(key in log.clicked for key in there)
    return Place(position=position, impressions=len(there), clicks=clicks)


LOGS = st.tuples(
    st.lists(QUERIES, max_size=25),
    st.lists(IMPRESSIONS, max_size=20),
    st.lists(ACTIONS, max_size=25),
)
ONE_CLICK = Action(query_id="q1", document_id="a", kind="click", at=START)
ONE_SEARCH = Query(query_id="q1", text="tea", at=START, shown=("a", "b"))
OTHER_TEXT = Query(query_id="q1", text="pot", at=START, shown=())


def assert_events(slow, events):
    assert events.searches == len(slow.searches)
    assert events.impressions == len(slow.impressions)
    kinds = Counter(action.kind for action in slow.actions)
    assert {kind.name: kind.events for kind in events.kinds} == kinds
    assert [kind.events for kind in events.kinds] == sorted(kinds.values(), reverse=True)
    assert all(kind.counts == (kind.name in COUNTS) for kind in events.kinds)
    counting = [action for action in slow.actions if action.kind in COUNTS]
    assert events.actions == len(counting)
    assert events.joined == sum(action.query_id in slow.logged for action in counting)
    assert events.joined_by_text == sum(slow.search_of(a) in slow.by_text for a in counting)
    found = sum(slow.search_of(a) in slow.texts for a in counting)
    assert events.joined_share == (found / len(counting) if counting else 0)


def assert_queries(slow, figures):
    with_results = {query_id for query_id, _ in slow.shown}
    with_click = {query_id for query_id, _ in slow.clicked}
    assert figures.searches == len(slow.texts)
    assert figures.searches_without_results == len(slow.texts.keys() - with_results)
    assert figures.searches_without_click == len(with_results - with_click)
    typed = slow.typed()
    repeated = {query: count for query, count in typed.items() if count > 1}
    assert figures.queries == len(typed)
    assert (figures.repeated_queries, figures.repeated_searches) == (
        len(repeated),
        sum(repeated.values()),
    )
    named = by_frequency(typed)
    segments = {
        name: (
            sum(named[query] == name for query in typed),
            sum(typed[q] for q in typed if named[q] == name),
        )
        for name in set(named.values())
    }
    assert {each.name: (each.queries, each.searches) for each in figures.segments} == segments
    clicked = {slow.texts[query_id] for query_id in with_click}
    assert figures.queries_never_clicked == len(typed.keys() - clicked)
    known = {query for query, by in slow.typed_by().items() if len(by) >= SHOWN_FROM_CLIENTS}
    assert figures.queries_withheld == len(typed.keys() - known)
    for told, among in ((figures.frequent, known), (figures.never_clicked, known - clicked)):
        expected = sorted(among, key=lambda query: (-typed[query], query))[:10]
        assert [(each.query, each.searches, each.clients) for each in told] == [
            (query, typed[query], len(slow.typed_by()[query])) for query in expected
        ]


def assert_documents(slow, figures):
    shown = Counter(document_id for _, document_id in slow.shown)
    clicked = {document_id for _, document_id in slow.clicked}
    passed_by = {document_id: n for document_id, n in shown.items() if document_id not in clicked}
    assert figures.documents_shown == len(shown)
    assert figures.documents_clicked == len(clicked)
    assert figures.documents_never_clicked == len(passed_by)
    assert [(each.document_id, each.impressions) for each in figures.passed_by] == sorted(
        passed_by.items(), key=lambda entry: (-entry[1], entry[0])
    )
    deepest = max((at for at in slow.shown.values() if at is not None), default=0)
    assert list(figures.places) == [
        place(slow, at, {at}) for at in range(1, min(deepest, POSITIONS) + 1)
    ]
    assert figures.below == place(slow, None, set(range(POSITIONS + 1, 100)))
    assert figures.unplaced == place(slow, None, {None})


@settings(deadline=None, max_examples=60)
@given(LOGS)
@example(([], [], []))
@example(([], [], [ONE_CLICK]))
@example(([ONE_SEARCH], [], [ONE_CLICK]))
@example(([ONE_SEARCH] * 3, [], [ONE_CLICK] * 3))
@example(([ONE_SEARCH, OTHER_TEXT, ONE_SEARCH], [], [ONE_CLICK]))
def test_every_number_is_that_of_a_slow_loop_over_the_same_events(log):
    slow, health = SlowLog(*log), health_of(*log)
    assert_events(slow, health.events)
    assert_queries(slow, health.figures)
    assert_documents(slow, health.figures)


def test_a_bot_is_in_the_events_and_nowhere_else(log):
    for client in range(30):
        log.search("tea", "ab", clicks="a", client=f"person{client}")
    for number in range(150):
        log.search("spam", "bc", clicks="c", client="bot", after_s=number)
    health = to_sessions(log.batches()).health
    assert (health.events.searches, health.events.actions) == (180, 180)
    figures = health.figures
    assert (figures.searches, figures.queries, figures.documents_shown) == (30, 1, 2)
    assert [each.query for each in figures.frequent] == ["tea"]
    assert "spam" not in str(health.to_json())


def test_a_query_is_told_from_five_clients_on_and_never_for_one_who_repeats_it(log):
    for client in range(4):
        log.search("of four", client=f"c{client}")
    for client in range(5):
        log.search("of five", client=f"c{client}")
    for number in range(20):
        log.search("of one", client="c1", after_s=number)
        log.search("of nobody known", client="", after_s=number)
    health = to_sessions(log.batches()).health
    assert [each.query for each in health.figures.frequent] == ["of five"]
    assert [each.query for each in health.figures.never_clicked] == ["of five"]
    assert health.figures.queries_withheld == 3
    told = str(health.to_json())
    assert not [text for text in ("of four", "of one", "of nobody known") if text in told]


def test_the_second_page_of_a_search_is_the_same_search(log):
    log.search("tea", shown="ab", query_id="q", client="ann")
    log.queries.append(replace(log.queries[0], shown=("c", "d"), first_position=3))
    figures = to_sessions(log.batches()).health.figures
    assert (figures.searches, figures.repeated_queries) == (1, 0)
    assert [each.impressions for each in figures.places] == [1, 1, 1, 1]


def test_rare_kinds_of_action_are_counted_together(log):
    query_id = log.search("tea", shown="a", client="ann")
    for number in range(15):
        log.act(query_id, "a", kind=f"kind{number:02}", after_s=number)
    events = to_sessions(log.batches()).health.events
    assert len(events.kinds) == 12
    assert events.of_other_kinds == 3
    assert not any(kind.counts for kind in events.kinds)


def test_of_many_known_queries_the_ten_most_frequent_are_told_most_frequent_first(log):
    for number in range(12):
        for client in range(5 + number):
            log.search(f"query {number:02}", clicks="a" if number % 3 else "", client=f"c{client}")
    figures = to_sessions(log.batches(), EVERYBODY).health.figures
    assert [(each.query, each.clients) for each in figures.frequent] == [
        (f"query {number:02}", 5 + number) for number in range(11, 1, -1)
    ]
    assert [each.query for each in figures.never_clicked] == [
        f"query {number:02}" for number in (9, 6, 3, 0)
    ]


def test_a_third_that_ends_with_a_level_ends_the_head_there(log):
    for query, times in {"a": 3, "b": 2, "c": 2, "d": 2}.items():
        for number in range(times):
            log.search(query, client=f"c{number}")
    segments = to_sessions(log.batches()).health.figures.segments
    assert [(each.name, each.queries, each.searches) for each in segments] == [
        ("head", 1, 3),
        ("tail", 3, 6),
    ]
