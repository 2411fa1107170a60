import pytest

from desireline.trainer.clickmodels.auto import Auto
from desireline.trainer.clickmodels.ctr import ClickThroughRate
from desireline.trainer.clickmodels.dynamic_bayesian import DynamicBayesian
from desireline.trainer.judgments import EvidenceConfig, click_log, judge
from desireline.trainer.sessions import to_sessions

DAY = 86_400.0


def only_row(judgments, document_id):
    (row,) = judgments.frame.filter(judgments.frame["document_id"] == document_id).to_dicts()
    return row


def test_a_purchase_and_a_long_stay_weigh_more_than_a_click(log):
    for number, (document_id, kind, stay) in enumerate(
        [("a", "click", 5), ("b", "purchase", 5), ("c", "click", 60)]
    ):
        client = f"client {number}"
        query_id = log.search(client=client)
        log.act(query_id, document_id, kind=kind, client=client, after_s=10)
        log.act(query_id, document_id, kind="leave", client=client, after_s=10 + stay)
    config = EvidenceConfig(long_dwell_s=30, long_dwell_weight=1.5)
    found = judge(to_sessions(log.batches()), ClickThroughRate(), evidence=config)
    assert [only_row(found, each)["weight"] for each in "abc"] == [1.0, 3.0, 1.5]


def test_old_searches_count_half_after_a_half_life(log):
    log.search(shown="ab", clicks="a", client="old", after_s=0)
    log.search(shown="ab", clicks="b", client="new", after_s=10 * DAY)
    sessions = to_sessions(log.batches())
    config = EvidenceConfig(half_life_days=5)
    counted = click_log(sessions, config).pairs
    assert counted.get_column("clicks").to_list() == pytest.approx([0.25, 1.0])
    assert counted.get_column("impressions").to_list() == pytest.approx([1.25, 1.25])
    found = judge(sessions, ClickThroughRate(), evidence=config)
    assert only_row(found, "a")["grade"] < only_row(found, "b")["grade"]
    assert [only_row(found, each)["clicks"] for each in "ab"] == [1, 1]
    assert [only_row(found, each)["impressions"] for each in "ab"] == [2, 2]


def test_newer_actions_say_more_of_the_weight(log):
    for kind, after_s in (("click", 0), ("purchase", 10 * DAY)):
        query_id = log.search(client=kind, after_s=after_s)
        log.act(query_id, "a", kind=kind, client=kind, after_s=after_s + 5)
    sessions = to_sessions(log.batches())
    even = judge(sessions, ClickThroughRate(), evidence=EvidenceConfig(long_dwell_weight=1))
    decayed = judge(
        sessions,
        ClickThroughRate(),
        evidence=EvidenceConfig(long_dwell_weight=1, half_life_days=5),
    )
    assert only_row(even, "a")["weight"] == 2.0
    assert only_row(decayed, "a")["weight"] == pytest.approx((0.25 * 1 + 1 * 3) / 1.25)


def test_a_grade_is_attraction_times_satisfaction(log):
    for number in range(200):
        client = f"client {number}"
        log.search(shown="abc", clicks="ab" if number % 2 else "b", client=client)
    sessions = to_sessions(log.batches())
    found = judge(sessions, DynamicBayesian())
    fitted = DynamicBayesian().fit(click_log(sessions)).attractiveness
    expected = (fitted["attraction"] * fitted["satisfaction"]).to_list()
    assert found.frame["grade"].to_list() == pytest.approx(expected)
    # Whoever clicked "a" read on and clicked "b".
    assert fitted["satisfaction"][0] < fitted["satisfaction"][1]
    assert (found.frame["variance"] > 0).all()


def test_clients_are_those_who_clicked(log):
    log.search(clicks="a", client="ann")
    log.search(clicks="a", client="bob")
    log.search(clicks="b", client="ann", after_s=DAY)
    log.search(client="cid")
    found = judge(to_sessions(log.batches()), ClickThroughRate())
    assert [only_row(found, each)["clients"] for each in "abc"] == [2, 1, 0]
    assert only_row(found, "c")["weight"] == 0.0


def test_why_a_click_model_was_chosen_is_said(log):
    log.search(clicks="a")
    found = judge(to_sessions(log.batches()), Auto())
    assert found.sentence.startswith("latent was taken without a comparison")
