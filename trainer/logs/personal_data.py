"""What in a query names a person: addresses, numbers of phones, cards and accounts, long digits.

Told by libraries that are kept for that alone: email-validator, phonenumbers and python-stdnum.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from enum import StrEnum

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic import BaseModel, Field, field_validator
from stdnum import iban, luhn

#: Nothing else of the text can be personal data of the kinds below; most queries end here.
_SUSPECT = re.compile(r"^(?:\D*+\d){7}|@")
_ADDRESS = re.compile(r"""[^\s@<>()\[\],;:"']+@[^\s@<>()\[\],;:"'/?]+""")
_NUMBER = re.compile(r"\d+(?:[ .\-/()]{1,2}\d+)*")
_ACCOUNT = re.compile(r"[a-z]{2}\d{2}(?=[ \-]?[a-z0-9])", re.IGNORECASE)
_IBAN_LENGTHS = range(15, 35)
_CARD_LENGTHS = range(13, 20)
_LONGEST = 1_000


class Kind(StrEnum):
    """What was found."""

    EMAIL = "an e-mail address"
    PHONE = "a phone number"
    CARD = "a card number"
    IBAN = "an account number (IBAN)"
    DIGITS = "long digits"
    #: Nobody types so much: something was pasted, and nobody knows what.
    TOO_LONG = "a text too long to be a query"


class PersonalDataConfig(BaseModel, frozen=True, extra="forbid"):
    """What counts as personal data in a query."""

    regions: tuple[str, ...] = Field(
        default=(),
        examples=[["DE", "AT"]],
        description="Countries (two letters) whose phone numbers are also known without +.",
    )
    long_digits: int = Field(
        default=9,
        ge=6,
        le=30,
        description="So many digits in a row, spaces and . - / ( ) between them not counted.",
    )

    @field_validator("regions")
    @classmethod
    def _known(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted({region.upper() for region in regions} - phonenumbers.SUPPORTED_REGIONS)
        if unknown:
            raise ValueError(f'expected countries such as "DE", not {", ".join(unknown)}')
        return tuple(region.upper() for region in regions)


class PersonalData:
    """Finds personal data in what users typed.

    A false alarm costs a query that is not learned from; a miss may cost a person. So whatever
    looks like a long number counts. Names and addresses of houses cannot be told this way: that
    nobody learns from a query before several clients typed it guards those.
    """

    def __init__(self, config: PersonalDataConfig | None = None) -> None:
        self._config = config or PersonalDataConfig()

    def held_by(self, texts: Iterable[str]) -> dict[str, Kind]:
        """Return the texts that hold some, each looked at once, and what was found first."""
        found = ((text, self.find(text)) for text in set(texts))
        return {text: kind for text, kind in found if kind is not None}

    def find(self, text: str) -> Kind | None:
        """Return the first kind found in one text."""
        if len(text) > _LONGEST:
            return Kind.TOO_LONG
        plain = text if text.isascii() else _plain(text)
        if _SUSPECT.search(plain) is None:
            return None
        return next(self._kinds(plain), None)

    def _kinds(self, text: str) -> Iterator[Kind]:
        if any(map(_is_address, _ADDRESS.findall(text))):
            yield Kind.EMAIL
        if _holds_iban(text):
            yield Kind.IBAN
        numbers = [re.findall(r"\d+", number) for number in _NUMBER.findall(text)]
        if any(map(_holds_card, numbers)):
            yield Kind.CARD
        if self._holds_phone(text):
            yield Kind.PHONE
        if any(sum(map(len, groups)) >= self._config.long_digits for groups in numbers):
            yield Kind.DIGITS

    def _holds_phone(self, text: str) -> bool:
        regions = self._config.regions or (None,)
        return any(phonenumbers.PhoneNumberMatcher(text, region).has_next() for region in regions)


def _plain(text: str) -> str:
    """Write every script's digits, dashes and widths in ASCII; leave out what is not seen."""
    seen = (sign for sign in unicodedata.normalize("NFKC", text) if _category(sign) != "Cf")
    return "".join(
        str(unicodedata.decimal(sign))
        if sign.isdecimal()
        else "-"
        if _category(sign) == "Pd"
        else sign
        for sign in seen
    )


def _category(sign: str) -> str:
    return unicodedata.category(sign)


def _is_address(candidate: str) -> bool:
    """Whether it is written as one; a domain that only an office or a test knows counts too."""
    written = candidate.strip(".!?")
    if "." not in written.partition("@")[2]:
        return False
    try:
        # Below .com no domain is one of those set apart, which the library refuses.
        validate_email(f"{written}.com", check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def _holds_iban(text: str) -> bool:
    """Try every length after what may begin one: the words behind it look like more of it."""
    for begin in _ACCOUNT.finditer(text):
        signs = re.sub(r"[ \-]", "", text[begin.start() :])[: _IBAN_LENGTHS.stop]
        if any(
            iban.is_valid(signs[:length], check_country=False)
            for length in _IBAN_LENGTHS
            if length <= len(signs)
        ):
            return True
    return False


def _holds_card(groups: list[str]) -> bool:
    """Whether some neighbouring groups of digits are together a card's number (Luhn)."""
    for first in range(len(groups)):
        digits = ""
        for group in groups[first:]:
            digits += group
            if len(digits) in _CARD_LENGTHS and luhn.is_valid(digits):
                return True
    return False
