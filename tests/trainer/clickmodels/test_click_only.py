import polars as pl
import pytest

from desireline.trainer.clickmodels.click_log import ClickLog
from desireline.trainer.clickmodels.click_only import is_click_only, with_imputed_impressions
from desireline.trainer.clickmodels.latent_relevance import LatentRelevance
from desireline.trainer.clickmodels.position_based import PositionBased
from desireline.trainer.judgments import EvidenceConfig, judge
from desireline.trainer.sessions import to_sessions


def clicks(*rows):
    """Rows of (view, document, position) of one query, all clicked, nothing shown."""
    return ClickLog(
        pl.DataFrame(
            [
                (view, "q", document, position, False, True, 1.0)
                for view, document, position in rows
            ],
            schema=["view", "query", "document_id", "position", "shown", "clicked", "share"],
            orient="row",
        )
    ).rows


def passed_over(rows, extent="last_click"):
    found = with_imputed_impressions(rows, extent)
    assert found.get_column("shown").all()
    return set(
        found.filter(~pl.col("clicked")).select("view", "document_id", "position").iter_rows()
    )


def test_what_stands_above_a_click_was_passed_over():
    rows = clicks((0, "a", 1), (1, "b", 2), (2, "c", 3), (2, "a", 1))
    assert passed_over(rows) == {(1, "a", 1), (2, "b", 2)}


def test_a_whole_page_goes_on_below_the_last_click():
    rows = clicks((0, "a", 1), (1, "b", 2), (2, "c", 3), (2, "a", 1))
    assert passed_over(rows, "page") == {
        (0, "b", 2),
        (0, "c", 3),
        (1, "a", 1),
        (1, "c", 3),
        (2, "b", 2),
    }


def test_at_each_position_stands_what_was_clicked_there_most_often():
    rows = clicks((0, "a", 1), (1, "x", 1), (2, "x", 1), (3, "c", 2))
    assert passed_over(rows) == {(3, "x", 1)}


def test_a_document_is_on_a_page_once():
    rows = clicks((0, "a", 1), (1, "b", 2), (2, "a", 3))
    assert passed_over(rows) == {(1, "a", 1), (2, "b", 2)}


def test_without_positions_others_clicks_were_shown_nobody_knows_where():
    rows = clicks((0, "a", None), (1, "a", None), (2, "b", None))
    assert passed_over(rows) == {(0, "b", None), (1, "b", None), (2, "a", None)}


@pytest.mark.parametrize("position", [1, None])
def test_every_click_stays_and_only_unclicked_rows_are_added(position):
    rows = clicks((0, "a", position), (1, "b", 2))
    found = with_imputed_impressions(rows).filter("clicked")
    assert found.drop("shown").sort("view").equals(rows.drop("shown"))


def test_a_log_that_says_what_was_shown_is_left_alone(log_of):
    assert is_click_only(clicks((0, "a", 1)))
    assert not is_click_only(log_of(("q", "ab", "a")).rows)
    assert not is_click_only(clicks())


@pytest.mark.parametrize("model", [PositionBased, LatentRelevance])
@pytest.mark.parametrize("places", [(2, 3, 1), (None, None, None)])
def test_judging_a_log_of_clicks_alone_prefers_what_is_clicked_more(log, model, places):
    for number in range(60):
        query_id = log.search("tea", "", client=f"c{number}", after_s=100 * number)
        kind = 0 if number % 10 < 6 else 1 if number % 10 < 9 else 2
        log.act(
            query_id,
            "abc"[kind],
            client=f"c{number}",
            after_s=100 * number + 5,
            position=places[kind],
        )
    found = judge(to_sessions(log.batches()), model())
    grade = dict(found.frame.select("document_id", "grade").iter_rows())
    assert grade["a"] > grade["b"] > grade["c"]
    assert "imputed" in found.sentence
    plain = judge(to_sessions(log.batches()), model(), evidence=EvidenceConfig(impute="off"))
    assert plain.sentence == ""
