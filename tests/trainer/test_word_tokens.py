"""Plain texts cut word by word: the numbers that the tokenizer's own library gives, sooner."""

import pytest
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors

from desireline.trainer.compact.vocabulary import Vocabulary
from desireline.trainer.encoders import word_tokens
from desireline.trainer.encoders.word_tokens import WordTokens

TEXTS = [
    "Red shoes, size 42-43 (men's); 10% off!",
    "snake_case and e-mail@example.org",
    "tabs\tand\nlines\r\n  with   space ",
    "[PAD] [UNK] ##ing ~`^$ unheardofword",
    "x" * 120,
    "",
    "the same the same THE SAME",
]
MARKS = "".join(map(chr, range(32, 127)))


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Vocabulary.of([*TEXTS[:3], "red shoe sizing"], most=150).tokenizer(special=False)


def theirs(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("text", [*TEXTS, MARKS, *MARKS, f"a{MARKS}b", " ".join(MARKS)])
def test_a_plain_text_gives_the_numbers_of_the_library_the_first_time_and_again(tokenizer, text):
    words = WordTokens.of(tokenizer)
    assert words is not None
    assert words.ids(text) == theirs(tokenizer, text)
    assert words.ids(text) == theirs(tokenizer, text)


@pytest.mark.parametrize("text", ["café", "ein Schuh für 5 €", "靴", "a\x00b", "a\x0bb", "a\x7f"])
def test_a_text_that_the_library_would_clean_or_cut_otherwise_is_left_to_it(tokenizer, text):
    words = WordTokens.of(tokenizer)
    assert words is not None
    assert words.ids(text) is None


def test_no_more_words_are_kept_than_there_is_room_for_and_all_are_read(tokenizer, monkeypatch):
    monkeypatch.setattr(word_tokens, "_MOST_KEPT", 3)
    words = WordTokens.of(tokenizer)
    assert words is not None
    for text in TEXTS:
        assert words.ids(text) == theirs(tokenizer, text)
    assert len(words._known) == 3


def _with_case(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)


def _by_space(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()


def _with_a_token_of_its_own(tokenizer: Tokenizer) -> None:
    tokenizer.add_tokens([AddedToken("red shoes")])


def _with_ends(tokenizer: Tokenizer) -> None:
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))


@pytest.mark.parametrize(
    "change",
    [_with_case, _by_space, _with_a_token_of_its_own, _with_ends],
    ids=lambda f: f.__name__,
)
def test_a_tokenizer_that_reads_otherwise_is_left_alone(tokenizer, change):
    change(tokenizer)
    assert WordTokens.of(tokenizer) is None
