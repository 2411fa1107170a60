"""Parts and changed answers in a terminal."""

from datetime import UTC, datetime

from desireline.sidecar.cli.changes import show_changes
from desireline.sidecar.cli.ending import end_with
from desireline.sidecar.cli.parts import drawn, show_parts
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.reports.answer_changes import tell_changes
from desireline.sidecar.reports.cycle_report import CycleReport, Interval, JudgedPart, Outcome
from desireline.sidecar.reports.judged_parts import GainScale, in_groups
from desireline.trainer.judging.changes import largest_changes
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
    for said in ("nDCG@10 by part", "  head", "+0.020 [-0.030, +0.070]", "General ability", "-o-"):
        assert said in told
    show_parts({}, Terminal())
    assert capsys.readouterr().out == ""


def test_a_narrow_window_holds_the_figures_of_every_part_and_no_drawing(capsys, monkeypatch):
    monkeypatch.setattr(Terminal, "columns", 80)
    parts = {"unseen query, unseen document": part(0.02), "general suite, titles": part(-0.01)}
    show_parts(parts, Terminal())
    told = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in told.splitlines()) <= 80
    assert "+0.020 [-0.030, +0.070]" in told
    assert "-o-" not in told


def report(**fields):
    row = {"ndcg@10": found(0.4), "ndcg@10 general, job titles of old": found(0.7)}
    return CycleReport(
        target="jobs",
        cycle="c",
        outcome=Outcome.KEPT_INCUMBENT,
        reason="nothing was gained",
        started_at=datetime(2026, 5, 7, tzinfo=UTC),
        measures=dict.fromkeys(("bm25", "base", "incumbent", "candidate"), row),
        gain={name: found(-0.01) for name in row},
        **fields,
    )


def found(value):
    return Interval(value=value, low=value - 0.05, high=value + 0.05)


def test_what_was_measured_is_told_with_intervals_and_what_each_gain_is_over(capsys):
    end_with(report(), Terminal())
    ours, general = capsys.readouterr().out.splitlines()[1:3]
    assert ours.split("  ")[0] == "nDCG@10"
    assert ours.count("0.400 [0.350, 0.450]") == 4
    assert "over base" not in ours
    assert general.startswith("nDCG@10 general, job titles of old")
    assert general.rstrip().endswith("-0.010 [-0.060, +0.040] over base")


def test_a_narrow_window_holds_every_mean_and_the_gain_with_its_interval(capsys, monkeypatch):
    monkeypatch.setattr(Terminal, "columns", 80)
    end_with(report(), Terminal())
    told = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in told.splitlines()) <= 80
    assert told.count("0.400") == 4
    assert "-0.010 [-0.060, +0.040]" in told
    assert "intervals of all: in a window of 140 columns, on the page, in --json" in told


def test_a_narrow_window_holds_both_answers_and_clips_a_query_nobody_reads(capsys, monkeypatch):
    monkeypatch.setattr(Terminal, "columns", 80)
    query = "why " * 100
    runs = {query: tuple("abc")}, {query: tuple("cba")}
    measure = parse("mrr@10")
    qrels = {query: {"c": 1.0}}
    changes = tell_changes(
        largest_changes(*runs, qrels, measure=measure, most=5),
        judged=1,
        runs=runs,
        qrels=qrels,
        titles=dict.fromkeys("abc", "a title that is longer than half of a narrow window"),
        measure=measure,
    )
    show_changes(changes, Terminal())
    first, _, *table, _ = capsys.readouterr().out.splitlines()
    assert len(first) < 190
    assert first.endswith("…")
    assert max(len(line.rstrip()) for line in table) <= 80
    assert all("a title that is" in line for line in table[1:])


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
