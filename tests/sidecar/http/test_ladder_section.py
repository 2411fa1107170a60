"""The ladder on the page: a row a rung, and a point for each that was judged."""

import re
from itertools import pairwise

from desireline.sidecar.http.ladder_section import ladder_section
from desireline.sidecar.ladder import choose
from desireline.sidecar.reports.cycle_report import Interval, Rung


def rung(mode, value, train_s, *, promote=True, documents=0):
    return Rung(
        mode=mode,
        candidate=mode,
        gain=Interval(value=value, low=value - 0.02, high=value + 0.02),
        relative=value / 0.5,
        promote=promote,
        reason=f"{mode} <b>was</b> judged",
        train_s=train_s,
        embed_documents=documents,
        embed_s=documents / 100,
        query_ms=2.5,
    )


def section(*rungs):
    ladder = choose(rungs, epsilon=0.1, measure="ndcg@10")
    return str(ladder_section({"ladder": ladder.model_dump(mode="json")}))


def test_every_rung_has_its_row_and_every_judged_one_its_point():
    text = section(
        rung("adapter", 0.05, 2),
        rung("query", 0.02, 20, promote=False),
        Rung(mode="lora", reason="no time <left>"),
        rung("full", 0.051, 60, documents=1016),
    )
    for said in (
        "adapter: the cheapest within 10 % of the best, full",
        "+0.050 (+10.0 %)",
        "[+0.030, +0.070]",
        "left out: no time &lt;left&gt;",
        "10 s",
        "1,016 documents",
        ">kept<",
        ">refused<",
        ">would pass<",
    ):
        assert said in text, said
    assert text.count("<circle") == 6, "three rungs in two pictures"
    assert "<b>" not in text
    assert "adapter +0.050 at 2.5 ms a query" in text
    assert (
        "adapter +0.050 after 2.0 s, query +0.020 after 20 s, full +0.051 after 1 min 10 s" in text
    )


def places(text, x, y):
    return [(float(a), float(b)) for a, b in re.findall(rf'{x}="([\d.]+)" {y}="([\d.]+)"', text)]


def test_a_slow_query_lies_right_of_a_fast_one_in_the_other_picture():
    fast, slow = rung("small", 0.01, 900), rung("full", 0.05, 9)
    text = section(fast.model_copy(update={"query_ms": 0.2}), slow)
    training, latency = places(text, "<circle cx", "cy")[:2], places(text, "<circle cx", "cy")[2:]
    assert training[0][0] > training[1][0]
    assert latency[0][0] < latency[1][0]
    assert [y for _, y in training] == [y for _, y in latency]


def test_no_name_lies_on_another_however_near_the_points_are():
    text = section(*(rung(mode, 0.04, 9) for mode in ("adapter", "query", "lora", "full")))
    names = re.findall(r'<text x="([\d.]+)" y="([\d.]+)">(adapter|query|lora|full)</text>', text)
    assert len(names) == 8
    for picture in (names[:4], names[4:]):
        heights = sorted(float(y) for _, y, _ in picture)
        assert min(b - a for a, b in pairwise(heights)) >= 12


def test_the_time_of_embedding_is_drawn_from_the_end_of_training_on():
    text = section(rung("adapter", 0.01, 2), rung("full", 0.05, 20, documents=60_000))
    ((begin, end),) = re.findall(
        r'<line x1="([\d.]+)" x2="([\d.]+)" y1="[\d.]+" y2="[\d.]+" class="embedding">', text
    )
    assert float(begin) < float(end)
    assert float(end) in {x for x, _ in places(text, "<circle cx", "cy")}


def test_dearer_lies_further_right_and_better_lies_higher():
    text = section(rung("adapter", 0.01, 2), rung("query", 0.03, 20), rung("full", 0.05, 600))
    points = places(text, "<circle cx", "cy")[:3]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)


def test_where_one_mode_was_tried_there_is_no_ladder():
    assert ladder_section({}) is None
    assert ladder_section({"ladder": None}) is None


def test_one_point_is_no_picture():
    text = section(rung("adapter", 0.05, 2), Rung(mode="full", reason="no time"))
    assert "<svg" not in text
