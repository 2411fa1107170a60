"""Plain English text cut into a tokenizer's numbers word by word, each word looked up once.

A table of word vectors spends most of its time in the tokenizer's library, which normalises every
character. Text of ASCII letters, digits and marks needs none of that but lower case: there a
tokenizer of word pieces, as BERT's, reads each word by itself, whatever stands around it.
"""

import json
import re
from itertools import chain

from tokenizers import Tokenizer

#: A word, or a mark alone, as BERT parts them.
_WORD = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
#: Anything that the library would clean, or take apart by other rules.
_NOT_PLAIN = re.compile(r"[^\t\n\r -~]")
#: Longest word whose numbers are kept; nobody repeats a longer one.
_LONGEST_KEPT = 40
#: Words kept beside those of the tokenizer, about 200 bytes each.
_MOST_KEPT = 50_000


class WordTokens:
    """The numbers that a tokenizer gives to plain texts, without asking it twice for a word.

    Threads may share one: what two of them learn at once is the same.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, tuple[int, ...]] = {}

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "WordTokens | None":
        """Return it for a tokenizer that reads plain texts word by word; None for any other."""
        told = json.loads(tokenizer.to_str())
        normalizer, cut = told["normalizer"] or {}, told["pre_tokenizer"] or {}
        by_word = (
            told["model"]["type"] == "WordPiece"
            and normalizer.get("type") == "BertNormalizer"
            and normalizer["lowercase"]
            and normalizer["clean_text"]
            and cut.get("type") == "BertPreTokenizer"
        )
        plain = not told["added_tokens"] and told["post_processor"] is None
        return cls(tokenizer) if by_word and plain else None

    def ids(self, text: str) -> list[int] | None:
        """Return the numbers of a text, as the tokenizer gives them; None if it is not plain."""
        if _NOT_PLAIN.search(text):
            return None
        words = _WORD.findall(text.lower())
        try:
            found = [self._known[word] for word in words]
        except KeyError:
            found = [self._known.get(word) or self._learn(word) for word in words]
        return list(chain.from_iterable(found))

    def _learn(self, word: str) -> tuple[int, ...]:
        ids = tuple(self._tokenizer.encode(word, add_special_tokens=False).ids)
        if len(word) <= _LONGEST_KEPT and len(self._known) < _MOST_KEPT:
            self._known[word] = ids
        return ids
