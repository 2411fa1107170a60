"""What a cycle's page says of parts and of changed answers."""

import re

import pytest

from desireline.sidecar.http.changes_section import changes_section
from desireline.sidecar.http.measures_table import measures_table
from desireline.sidecar.http.page_parts import span
from desireline.sidecar.http.parts_section import parts_section


def test_every_part_is_a_row_with_its_interval_in_words_and_drawn(cycle):
    text = str(parts_section(cycle))
    assert text.count('class="interval-bar') == len(cycle["parts"])
    for said in (
        "How often a query is searched",
        "unseen query, unseen document",
        "newest searches",
        "topic 8 of 8",
        "General ability, against the base encoder",
        'aria-label="head: +0.061 [+0.021, +0.101]"',
        '<span class="gain down">-0.031</span>',
    ):
        assert said in text, said


def test_an_interval_lies_where_its_numbers_say(cycle):
    text = str(parts_section(cycle))
    zero = {float(x) for x in re.findall(r'<line x1="([\d.]+)"[^>]*class="zero"', text)}
    assert len(zero) == 1
    (at_zero,) = zero
    places = dict(
        zip(
            re.findall(r'aria-label="([^":]+): ', text),
            map(float, re.findall(r'<circle cx="([\d.]+)"', text)),
            strict=True,
        )
    )
    assert places["head"] > places["tail"] > at_zero > places["keywords"]


def test_both_answers_stand_side_by_side_and_say_what_came_and_went(cycle):
    text = str(changes_section(cycle))
    assert [text.count(f">{title}</h3>") for title in ("Gained most", "Lost most")] == [1, 1]
    assert text.count("<details") == 3
    assert text.count("<details open") == 2, "the largest of each kind"
    for said in (
        "what people wanted: 15 \N{RIGHTWARDS ARROW} 1",
        "beyond 20 \N{RIGHTWARDS ARROW} 1",
        "nDCG@10 +1.000",
        ">new<",
        ">gone<",
        ">up from 20<",
        "38 of 41 are not shown, for too few people typed them",
        "&lt;b&gt;bold&lt;/b&gt;",
    ):
        assert said in text, said
    assert "<b>" not in text


def test_what_was_not_judged_is_not_shown(cycle):
    assert parts_section({}) is None
    assert changes_section({}) is None
    assert changes_section({**cycle, "changes": None}) is None


def test_where_no_answer_changed_the_page_says_so(cycle):
    nothing = {**cycle["changes"], "wins": [], "losses": [], "changed": 0, "withheld": ""}
    text = str(changes_section({"changes": nothing}))
    assert "none of 3 queries that may be shown has other first 10 answers" in text
    assert "<details" not in text


def test_general_ability_is_told_over_the_base_encoder_and_the_rest_over_what_served(cycle):
    value = {"value": 0.5, "low": 0.4, "high": 0.6}
    for row in cycle["measures"].values():
        row["ndcg@10 general, titles"] = value
    cycle["gain"]["ndcg@10 general, titles"] = value
    rows = str(measures_table(cycle)).split("<tr>")
    told = {
        name: "over base" in row
        for row in rows
        for name in re.findall(r'<th scope="row">([^<]+)</th>', row)
    }
    assert told.pop("nDCG@10 general, titles")
    assert len(told) == 4
    assert not any(told.values())


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ("2026-05-07T02:00:40+00:00", "took less than a minute"),
        ("2026-05-07T02:41:00+00:00", "took 41 min"),
        ("2026-05-09T08:41:00+00:00", "took 2 d 6 h"),
    ],
)
def test_however_long_a_cycle_took_the_page_says_it(ended, said):
    assert span("2026-05-07T02:00:00+00:00", ended) == f"2026-05-07 02:00 UTC, {said}"


def test_where_no_query_may_be_shown_the_page_says_why(cycle):
    nothing = {**cycle["changes"], "wins": [], "losses": [], "withheld": "none may be shown"}
    text = str(changes_section({"changes": nothing}))
    assert "none may be shown" in text
    assert "<details" not in text
