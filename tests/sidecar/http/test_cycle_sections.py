"""What a cycle's page says of parts and of changed answers."""

import re

from desireline.sidecar.http.changes_section import changes_section
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


def test_where_no_query_may_be_shown_the_page_says_why(cycle):
    nothing = {**cycle["changes"], "wins": [], "losses": [], "withheld": "none may be shown"}
    text = str(changes_section({"changes": nothing}))
    assert "none may be shown" in text
    assert "<details" not in text
