"""The ladder in a terminal."""

import pytest

from desireline.sidecar.cli.ladder import plot, show_ladder
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.ladder import choose
from desireline.sidecar.reports.cost_scale import CostScale
from desireline.sidecar.reports.cycle_report import Interval, Rung


def rung(mode, value, train_s, *, promote=True):
    return Rung(
        mode=mode,
        gain=Interval(value=value, low=value - 0.02, high=value + 0.02),
        relative=value / 0.5,
        promote=promote,
        reason="judged",
        train_s=train_s,
        embed_documents=0,
        embed_s=0.0,
        query_ms=2.5,
    )


def place_of(letter, lines):
    ((row, line),) = [
        (n, line) for n, line in enumerate(lines) if f"{letter}" in line.split("|")[-1]
    ]
    return row, line.index(letter, line.index("|"))


def test_the_plot_puts_better_above_and_dearer_to_the_right():
    _, *lines, scale = plot(
        [rung("adapter", 0.01, 2), rung("query", 0.03, 20), rung("full", 0.05, 600)]
    )
    places = [place_of(letter, lines) for letter in "AQF"]
    assert [row for row, _ in places] == sorted((row for row, _ in places), reverse=True)
    assert [column for _, column in places] == sorted(column for _, column in places)
    assert [name in scale for name in ("1 s", "10 s", "1 min", "10 min", "1 h")] == [1, 1, 1, 1, 0]


def test_what_the_gate_refused_is_in_lower_case_and_a_loss_lies_below_zero():
    legend, *lines, _ = plot([rung("adapter", 0.02, 2), rung("full", -0.02, 60, promote=False)])
    assert "A adapter, f full; lower case: refused" in legend
    zero = next(n for n, line in enumerate(lines) if line.lstrip().startswith("0 |"))
    assert place_of("A", lines)[0] < zero < place_of("f", lines)[0]


def test_equal_points_hide_nobody():
    _, *lines, _ = plot([rung("adapter", 0.02, 2), rung("query", 0.02, 2)])
    assert len({place_of(letter, lines) for letter in "AQ"}) == 2


def test_one_rung_is_no_plot():
    assert plot([rung("adapter", 0.02, 2), Rung(mode="full", reason="no time")]) == []


def test_people_read_the_table_the_reasons_and_the_sentence(capsys):
    rungs = [rung("adapter", 0.05, 2), Rung(mode="lora", reason="no time"), rung("full", 0.051, 60)]
    show_ladder(choose(rungs, epsilon=0.1, measure="ndcg@10"), Terminal())
    told = capsys.readouterr().out
    for said in ("adapter *", "+0.050 (+10.0 %) [+0.030, +0.070]", "kept", "would pass"):
        assert said in told
    assert "lora is left out: no time" in told
    assert told.splitlines()[-1].endswith("adapter: the cheapest within 10 % of the best, full")


@pytest.mark.parametrize(("costs", "names"), [([0.1], 2), ([30.0], 2), ([7200.0], 5)])
def test_the_scale_holds_every_cost_and_names_the_round_ones(costs, names):
    scale = CostScale.over(costs)
    assert all(0 <= scale.place(cost) < 1 for cost in costs)
    assert len(scale.marks()) == names


@pytest.mark.parametrize(
    ("seconds", "names"),
    [
        ([0.000_05], ["0.1 ms", "1 ms", "10 ms"]),
        ([0.003, 0.09], ["0.1 ms", "1 ms", "10 ms", "100 ms"]),
    ],
)
def test_a_scale_of_queries_begins_at_a_tenth_of_a_millisecond(seconds, names):
    scale = CostScale.of_queries(seconds)
    assert [name for _, name in scale.marks()] == names
    assert scale.marks()[0][0] == 0
    assert all(0 <= scale.place(each) < 1 for each in seconds)


def test_a_narrow_window_holds_the_ladder_and_every_figure_of_it(capsys, monkeypatch):
    monkeypatch.setattr(Terminal, "columns", 80)
    dear = rung("full", 0.051, 3_100).model_copy(
        update={"embed_documents": 48_194, "embed_s": 227.0}
    )
    show_ladder(
        choose([rung("adapter", 0.01, 2), dear], epsilon=0.1, measure="ndcg@10"), Terminal()
    )
    table = capsys.readouterr().out.split("gain over what serves")[0]
    assert max(len(line.rstrip()) for line in table.splitlines()) <= 80
    for said in ("nDCG@10", "[+0.031, +0.071]", "51 min 40 s", "(48,194)", "3 min 47 s", "2.5 ms"):
        assert said in table
