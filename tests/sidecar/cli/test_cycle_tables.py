"""Parts and changed answers in a terminal."""

from desireline.sidecar.answer_changes import tell_changes
from desireline.sidecar.cli.changes import show_changes
from desireline.sidecar.cli.parts import drawn, show_parts
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.cycle_report import Interval, JudgedPart
from desireline.sidecar.judged_parts import GainScale, in_groups
from desireline.trainer.changes import largest_changes
from desireline.trainer.measures.base import parse

SCALE = GainScale(low=-0.1, high=0.1)


def part(value, *, queries=40):
    gain = Interval(value=value, low=value - 0.05, high=value + 0.05)
    return JudgedPart(measure="ndcg@10", queries=queries, before=0.5, after=0.5 + value, gain=gain)


def test_an_interval_is_drawn_from_bound_to_bound_with_zero_and_the_gain():
    assert drawn(Interval(value=0.05, low=0.0, high=0.1), SCALE, 21) == " " * 10 + "|----o-----"
    assert drawn(Interval(value=-0.05, low=-0.1, high=-0.02), SCALE, 21) == "-----o--- |"
    assert drawn(Interval(value=0.0, low=0.0, high=0.0), SCALE, 21) == " " * 10 + "o"


def test_a_scale_holds_every_bound_and_zero():
    for bounds in ([0.02, 0.3], [-0.3, -0.02], [0.0], []):
        scale = GainScale.over(bounds)
        assert all(0 < scale.place(bound) < 1 for bound in [*bounds, 0.0])


def test_every_part_is_in_one_group_whatever_segments_are_called():
    parts = {
        name: part(0.01)
        for name in (
            "unseen query, seen document",
            "newest searches",
            "topic 1 of 8",
            "general suite, titles",
            "head",
            "titles",
        )
    }
    groups = {group.title: [name for name, _ in group.parts] for group in in_groups(parts)}
    assert groups == {
        "How often a query is searched": ["head", "titles"],
        "Query and document in training": ["unseen query, seen document"],
        "Newest searches": ["newest searches"],
        "Topics": ["topic 1 of 8"],
        "General ability, against the base encoder": ["titles"],
    }


def test_people_read_every_part_with_its_figures(capsys):
    show_parts({"head": part(0.02), "general suite, titles": part(-0.01)}, Terminal())
    told = capsys.readouterr().out
    for said in ("ndcg@10 by part", "  head", "+0.020 [-0.030, +0.070]", "General ability", "-o-"):
        assert said in told
    show_parts({}, Terminal())
    assert capsys.readouterr().out == ""


def test_people_read_what_was_won_and_lost_side_by_side(capsys):
    runs = {"sea": tuple("abcdefghijkl"), "land": ("a",)}, {"sea": tuple("labc"), "land": ("b",)}
    qrels = {"sea": {"l": 1.0}, "land": {"a": 1.0}}
    measure = parse("mrr@10")
    found = largest_changes(*runs, qrels, measure=measure, most=5)
    titles = {name: f"title {name}" for name in "abcdefghijkl"}
    changes = tell_changes(found, judged=5, runs=runs, qrels=qrels, titles=titles, measure=measure)
    show_changes(changes, Terminal())
    told = capsys.readouterr().out
    for said in (
        "won",
        "mRR@10 +1.000",
        "* 12 -> 1; 1 entered the first ten, 7 left",
        "* title l",
        "new, from 12",
        "down from 1",
        "lost",
        "* 1 -> beyond 12",
        "2 of 2 queries that may be shown have other first 10 answers or another order: 1 better,"
        " 1 worse; 3 of 5 are not shown",
    ):
        assert said in told, said
