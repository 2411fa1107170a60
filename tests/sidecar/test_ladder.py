from datetime import UTC, datetime

import pytest

from desireline.sidecar.ladder import choose, last_seconds, too_long
from desireline.sidecar.reports.cycle_report import CycleReport, Interval, Ladder, Outcome, Rung

AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def rung(mode, gain, *, promote=True, **more):
    """A rung that gained so many hundredths over an incumbent at .5; None is left out."""
    if gain is None:
        return Rung(mode=mode, reason="no time")
    value = gain / 100
    return Rung(
        mode=mode,
        candidate=mode * 8,
        gain=Interval(value=value, low=value - 0.01, high=value + 0.01),
        relative=value / 0.5,
        promote=promote,
        reason="measured",
        **more,
    )


LADDERS = {
    "the cheapest within a tenth of the best is kept": (
        [("adapter", 5.0), ("query", 4.0), ("full", 5.4)],
        "adapter",
        "adapter +10.0 %  query +8.0 %  full +10.8 %; adapter: the cheapest within 10 % of the"
        " best, full",
    ),
    "the best is kept where nothing cheaper comes near": (
        [("adapter", 1.0), ("query", 2.0), ("full", 4.6)],
        "full",
        "adapter +2.0 %  query +4.0 %  full +9.2 %; full: the only one within 10 % of the best",
    ),
    "the cheapest is kept where it is the best": (
        [("adapter", 5.0), ("query", 4.9), ("full", 3.0)],
        "adapter",
        "adapter +10.0 %  query +9.8 %  full +6.0 %; adapter: nothing dearer gains more",
    ),
    "a rung in the middle is kept": (
        [("adapter", 1.0), ("query", 5.0), ("lora", 5.2), ("full", 4.0)],
        "query",
        "adapter +2.0 %  query +10.0 %  lora +10.4 %  full +8.0 %; query: the cheapest within 10 %"
        " of the best, lora",
    ),
    "what the gate refuses is neither kept nor the best": (
        [("adapter", 3.0), ("query", 9.0, False), ("full", 3.1)],
        "adapter",
        "adapter +6.0 %  query +18.0 % (refused)  full +6.2 %; adapter: the cheapest within 10 % of"
        " the best, full",
    ),
    "what was left out is told": (
        [("adapter", 3.0), ("full", None)],
        "adapter",
        "adapter +6.0 %  full left out; adapter: nothing dearer gains more",
    ),
    "nothing is kept where the gate refuses all": (
        [("adapter", 0.1, False), ("full", -2.0, False)],
        None,
        "adapter +0.2 % (refused)  full -4.0 % (refused); no rung is kept",
    ),
}


@pytest.mark.parametrize(("rungs", "kept", "sentence"), LADDERS.values(), ids=LADDERS)
def test_the_ladder_says_which_rung_and_why(rungs, kept, sentence):
    made = [rung(mode, gain, promote=not refused or refused[0]) for mode, gain, *refused in rungs]
    ladder = choose(made, epsilon=0.1, measure="ndcg@10")
    assert [each.mode for each in ladder.rungs if each.kept] == ([kept] if kept else [])
    assert ladder.sentence == sentence
    assert [each.mode for each in ladder.rungs] == [mode for mode, *_ in rungs]


def test_with_no_tolerance_only_the_best_is_good_enough():
    ladder = choose([rung("adapter", 4.9), rung("full", 5.0)], epsilon=0.0, measure="ndcg@10")
    assert ladder.rungs[1].kept


@pytest.mark.parametrize(
    ("left_s", "last", "below", "reason"),
    [
        (0.5, {"full": 60.0}, None, ""),
        (100.0, {"full": 60.0}, 3.0, ""),
        (
            50.0,
            {"full": 60.0},
            3.0,
            "training took 1 min in the last cycle, and 50 s of the budget are left",
        ),
        (
            2.0,
            {},
            30.0,
            "training took 30 s for the cheaper mode, and 2.0 s of the budget are left",
        ),
        (
            -9.0,
            {"full": 1.0},
            30.0,
            "training took 30 s for the cheaper mode, and 0.0 s of the budget are left",
        ),
        (31.0, {}, 30.0, ""),
    ],
)
def test_a_rung_that_the_rest_of_the_budget_cannot_hold_is_left_out_with_that_reason(
    left_s, last, below, reason
):
    assert too_long("full", left_s=left_s, last=last, below=below) == reason


def test_what_a_mode_took_is_known_from_the_last_cycle_that_tried_it():
    def report(*rungs):
        return CycleReport(
            target="jobs",
            cycle="c",
            outcome=Outcome.WENT_LIVE,
            started_at=AT,
            ladder=Ladder(measure="ndcg@10", rungs=rungs, sentence="s") if rungs else None,
        )

    known = last_seconds(
        [
            report(rung("adapter", 1, train_s=2.0), rung("full", 1, train_s=60.0)),
            report(rung("adapter", 1, train_s=3.0), rung("full", None)),
            report(),
        ]
    )
    assert known == {"adapter": 3.0, "full": 60.0}


def test_the_cost_of_a_rung_is_training_and_embedding():
    assert rung("full", 1, train_s=60.0, embed_s=30.0).cost_s == 90.0
    assert rung("adapter", 1, train_s=2.0, embed_s=0.0).cost_s == 2.0
    assert rung("full", None).cost_s is None
