"""What names a person is found however it is written, and ordinary queries are left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from desireline.trainer.logs.personal_data import Kind, PersonalData, PersonalDataConfig
from desireline.trainer.simulation.personal import draw_personal

FINDER = PersonalData()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("john.doe+x@gmail.com invoice", Kind.EMAIL),
        ("mailto:Jane@Example.co.uk", Kind.EMAIL),
        ("intern@firma.local", Kind.EMAIL),
        ("müller@bücher.de", Kind.EMAIL),
        ("someone＠example.com", Kind.EMAIL),
        ("de89 3704 0044 0532 0130 00 please", Kind.IBAN),
        ("gb82west12345698765432", Kind.IBAN),
        ("be68-5390-0754-7034", Kind.IBAN),
        ("4111 1111 1111 1111", Kind.CARD),
        ("order 12 5500-0000-0000-0004 refund", Kind.CARD),
        ("٤١١١ ١١١١ ١١١١ ١١١١", Kind.CARD),
        ("4111\u200b1111\u200b1111\u200b1111", Kind.CARD),
        ("+49 30 123456", Kind.PHONE),
        ("call +1 (212) 555-2368 now", Kind.PHONE),
        ("030 1234 5678", Kind.DIGITS),
        ("123–45–6789", Kind.DIGITS),
        ("１２３４５６７８９", Kind.DIGITS),
        ("x" * 1001, Kind.TOO_LONG),
    ],
)
def test_personal_data_is_found_however_it_is_written(text, kind):
    assert FINDER.find(text) is kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "red shoes",
        "iphone 12 128 gb",
        "windows 11",
        "a4 80g 500",
        "2024-12-25",
        "@home",
        "5 @ 10",
        "m8 x 100",
        "lego 75192",
        "café 24/7",
        "c++ 17",
    ],
)
def test_ordinary_queries_are_not_personal(text):
    assert FINDER.find(text) is None


def test_national_numbers_are_known_in_the_regions_that_are_named():
    config = PersonalDataConfig(regions=("de",), long_digits=30)
    assert PersonalData(config).find("call 030 1234 5678") is Kind.PHONE
    assert PersonalData(PersonalDataConfig(long_digits=30)).find("call 030 1234 5678") is None


def test_a_card_is_found_where_long_digits_are_allowed():
    finder = PersonalData(PersonalDataConfig(long_digits=30))
    assert finder.find("ean 12 4111 1111 1111 1111") is Kind.CARD
    assert finder.find("4111 1111 1111 1112") is None


@pytest.mark.parametrize("wrong", [{"regions": ("XX",)}, {"long_digits": 3}])
def test_a_wrong_setting_is_refused(wrong):
    with pytest.raises(ValidationError):
        PersonalDataConfig(**wrong)


@given(st.text(max_size=12), st.integers(10**8, 10**29), st.text(max_size=12))
def test_no_text_around_long_digits_hides_them(before, digits, after):
    assert FINDER.find(f"{before} {digits} {after}") is not None


@pytest.mark.parametrize("hostile", ["1 " * 500, "@" * 1000, "a@" * 500, "de12" * 250, "(1" * 500])
def test_no_text_can_hold_the_search_up(hostile):
    FINDER.find(hostile)


NAMED = {"e-mail": Kind.EMAIL, "card": Kind.CARD, "iban": Kind.IBAN}


def test_everything_personal_that_the_simulator_plants_is_found_and_named():
    random = np.random.default_rng(5)
    for number in range(1_000):
        kind, value = draw_personal(random, number)
        found = FINDER.find(f"where is {value} please")
        assert found is not None, (kind, value)
        assert found is NAMED.get(kind, found), (kind, value)


def test_each_distinct_text_is_looked_at_once():
    texts = ["a@b.example", "shoes", "a@b.example"]
    assert FINDER.held_by(iter(texts)) == {"a@b.example": Kind.EMAIL}
