from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.connectors.search_engine import Hit
from desireline.trainer.clickmodels.position_based import PositionBased
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.judgments import judge
from desireline.trainer.lessons import Lessons
from desireline.trainer.miners.base import Material, mine_all
from desireline.trainer.miners.clicked import Clicked, ClickedConfig
from desireline.trainer.miners.engine_negatives import EngineNegatives, EngineNegativesConfig
from desireline.trainer.miners.self_supervised import SelfSupervised
from desireline.trainer.miners.skipped_above import SkippedAbove, SkippedAboveConfig
from desireline.trainer.pairs import PairSet
from desireline.trainer.sessions import to_sessions

DOCUMENTS = "abcdefgh"
TEXTS = {name: DocumentText((name, f"text of {name}")) for name in DOCUMENTS}
SEARCHES = st.lists(
    st.tuples(
        st.sampled_from(["coffee", "tea", "cup"]),
        st.permutations(DOCUMENTS).map(lambda order: tuple(order[:5])),
        st.sets(st.sampled_from(DOCUMENTS), max_size=3),
    ),
    min_size=1,
    max_size=12,
)
MINERS = [
    Clicked(ClickedConfig(min_grade=0.0)),
    SkippedAbove(SkippedAboveConfig(min_grade=0.0)),
    EngineNegatives(EngineNegativesConfig(min_grade=0.0, skip_top=0)),
    SelfSupervised(),
]


def mined(searches):
    at = datetime(2025, 1, 1, tzinfo=UTC)
    queries, actions = [], []
    for number, (text, shown, clicks) in enumerate(searches):
        queries.append(
            Query(query_id=str(number), text=text, at=at, client=f"c{number}", shown=shown)
        )
        actions += [
            Action(
                query_id=str(number),
                document_id=document_id,
                kind="click",
                at=at + timedelta(seconds=1),
                client=f"c{number}",
            )
            for document_id in sorted(clicks)
        ]
    batch = LogBatch(cursor=Cursor(""), queries=tuple(queries), actions=tuple(actions))
    sessions = to_sessions([batch])

    def search(text, k):
        return [Hit(document_id=name, score=1.0, fields={}) for name in DOCUMENTS[:k]]

    material = Material(
        sessions=sessions,
        judgments=judge(sessions, PositionBased()),
        documents=TEXTS,
        search=search,
    )
    clicked = {}
    for text, _, clicks in searches:
        clicked.setdefault(text, set()).update(clicks)
    return mine_all(material, MINERS), clicked


@settings(deadline=None)
@given(SEARCHES)
def test_a_clicked_document_is_never_a_negative(searches):
    pairs, clicked = mined(searches)
    for pair in pairs.pairs:
        negatives = {negative.document_id for negative in pair.negatives}
        assert not negatives & clicked.get(pair.anchor, set())
        assert pair.positive.document_id not in negatives


@settings(deadline=None)
@given(searches=SEARCHES, data=st.data())
def test_a_clicked_document_is_no_negative_within_a_batch_either(searches, data):
    pairs, clicked = mined(searches)
    lessons = Lessons.of(pairs, hard_negatives=2)
    rows = data.draw(
        st.lists(st.integers(0, len(lessons.anchors) - 1), min_size=1, max_size=9, unique=True)
    )
    passages = lessons.passages_of(rows)
    forbidden = lessons.forbidden(rows, passages)
    for line, row in enumerate(rows):
        anchor = lessons.anchors[row]
        for column, number in enumerate(passages):
            document_id = lessons.passages[number].document_id
            own = number == lessons.positive[row]
            may_be_right = (
                document_id in clicked.get(anchor, set())
                or document_id == lessons.passages[lessons.positive[row]].document_id
                or document_id in pairs.related.get(anchor, frozenset())
            )
            assert forbidden[line, column] == (may_be_right and not own)


@settings(deadline=None)
@given(SEARCHES)
def test_an_anchor_and_its_positive_are_one_pair(searches):
    pairs, _ = mined(searches)
    keys = [(pair.anchor, pair.positive) for pair in pairs.pairs]
    assert len(keys) == len(set(keys))


@settings(max_examples=20, deadline=None)
@given(SEARCHES)
def test_pairs_are_read_as_they_were_written(tmp_path_factory, searches):
    pairs, _ = mined(searches)
    folder = tmp_path_factory.mktemp("pairs")
    pairs.write(folder)
    assert PairSet.read(folder) == pairs
