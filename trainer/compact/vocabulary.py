"""The catalogue's own words and pieces of words, and a tokenizer that cuts texts into them.

The library's own trainer of word pieces breaks ties in the order of a hash map, so that one
catalogue gives different tokenizers. Here whole words come first, by count and then by name, and
pieces are for the words that found no place.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

PAD, UNKNOWN, FIRST, LAST, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CONTINUED = "##"
#: Characters that have a place of their own, by count; rarer ones are unknown.
_MOST_CHARACTERS = 2_000
#: Letters of a piece.
_SHORTEST_PIECE, _LONGEST_PIECE = 2, 7
#: Share of the vocabulary that is for pieces.
_PIECES = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Tokens by number, and how often each word of them was counted."""

    tokens: tuple[str, ...]
    #: Of the texts it was made from, by token; pieces and borrowed words count 1.
    counts: tuple[int, ...]

    @classmethod
    def of(cls, texts: Iterable[str], *, most: int, borrowed: Sequence[str] = ()) -> "Vocabulary":
        """Take the words of texts, pieces for those left out, and borrowed words where room is.

        Args:
            texts: documents and queries.
            most: tokens; characters and special tokens have a place above that.
            borrowed: words to add, most useful first.

        """
        counts = _count(texts)
        by_count = sorted(counts, key=lambda word: (-counts[word], word))
        whole = by_count[: round((1 - _PIECES) * most)]
        kept: dict[str, int] = dict.fromkeys((*SPECIAL, *_characters(counts)), 1)
        kept |= {word: counts[word] for word in whole}
        pieces = _pieces(counts, by_count)[: round(_PIECES * most)]
        for token in (*pieces, *by_count[len(whole) :], *borrowed):
            if len(kept) >= most:
                break
            kept.setdefault(token, counts[token] or 1)
        return cls(tokens=tuple(kept), counts=tuple(kept.values()))

    @property
    def readable(self) -> tuple[str, ...]:
        """What each token says; empty for special ones."""
        return tuple(
            "" if token in SPECIAL else token.removeprefix(_CONTINUED) for token in self.tokens
        )

    def tokenizer(self, *, special: bool) -> Tokenizer:
        """Make what cuts a text into these tokens; with `special` it marks both ends."""
        numbers = {token: number for number, token in enumerate(self.tokens)}
        made = Tokenizer(models.WordPiece(numbers, unk_token=UNKNOWN))
        made.normalizer = normalizers.BertNormalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        if special:
            made.post_processor = processors.BertProcessing(
                (LAST, numbers[LAST]), (FIRST, numbers[FIRST])
            )
        return made


def words_of(tokenizer: Tokenizer) -> list[str]:
    """Return the whole words that another tokenizer knows, in its own order."""
    known: dict[str, int] = tokenizer.get_vocab()
    by_number = sorted(known, key=lambda token: (known[token], token))
    return [token for token in by_number if token.isalpha() and len(token) > 1]


def _count(texts: Iterable[str]) -> Counter[str]:
    normalizer, cut = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        storable = text.encode("utf-8", "replace").decode("utf-8")
        counts.update(word for word, _ in cut.pre_tokenize_str(normalizer.normalize_str(storable)))
    return counts


def _characters(counts: Counter[str]) -> list[str]:
    """Return each character as the beginning of a word and as its continuation."""
    letters: Counter[str] = Counter()
    for word, count in counts.items():
        for letter in word:
            letters[letter] += count
    most = sorted(letters, key=lambda letter: (-letters[letter], letter))[:_MOST_CHARACTERS]
    return [*most, *(f"{_CONTINUED}{letter}" for letter in most)]


def _pieces(counts: Counter[str], words: Iterable[str]) -> list[str]:
    """Return beginnings and ends that many words share, those first that spare most tokens."""
    shared: Counter[str] = Counter()
    for word in words:
        for length in range(_SHORTEST_PIECE, min(_LONGEST_PIECE, len(word) - 1) + 1):
            shared[word[:length]] += 1
            shared[f"{_CONTINUED}{word[-length:]}"] += 1
    common = [piece for piece, number in shared.items() if number > 1 and piece not in counts]

    def worth(piece: str) -> int:
        return shared[piece] * (len(piece.removeprefix(_CONTINUED)) - 1)

    return sorted(common, key=lambda piece: (-worth(piece), piece))
