"""Personal data that no person has: shaped like the real thing, with checksums that fit.

Every value is drawn; names, hosts and numbers are of ranges kept free for examples where there
are such ranges.
"""

from collections.abc import Callable

import numpy as np

_FIRST = ("ada", "bruno", "carla", "dario", "elif", "farid", "greta", "henrik", "ines", "jonas")
_LAST = ("albers", "bianchi", "costa", "dubois", "eriksen", "ferrari", "garcia", "haas", "ito")
_PREFIXES_OF_CARDS = ("4", "51", "55", "37")
_LENGTH_OF_IBAN = {"DE": 18, "AT": 16, "NL": 10}


def draw_personal(random: np.random.Generator, number: int) -> tuple[str, str]:
    """Return the kind and the text of one piece of personal data; kinds come in turn."""
    kinds = tuple(_DRAWN)
    kind = kinds[number % len(kinds)]
    return kind, _DRAWN[kind](random, number)


def _mail(random: np.random.Generator, number: int) -> str:
    return f"{random.choice(_FIRST)}.{random.choice(_LAST)}{number}@mail{number % 7}.example.com"


def _phone(random: np.random.Generator, _: int) -> str:
    return f"+1 {random.integers(201, 989)}-555-01{random.integers(0, 100):02d}"


def _card(random: np.random.Generator, _: int) -> str:
    """Draw a card number that passes Luhn's check."""
    start = str(random.choice(_PREFIXES_OF_CARDS))
    length = 15 if start == "37" else 16
    body = start + _digits(random, length - len(start) - 1)
    return body + str(-_luhn(body + "0") % 10)


def _iban(random: np.random.Generator, _: int) -> str:
    """Draw an IBAN whose two check digits are right (ISO 13616, mod 97)."""
    country = str(random.choice(tuple(_LENGTH_OF_IBAN)))
    bank = "ABNA" if country == "NL" else ""
    account = bank + _digits(random, _LENGTH_OF_IBAN[country])
    spelled = "".join(str(int(letter, 36)) for letter in f"{account}{country}00")
    return f"{country}{98 - int(spelled) % 97:02d}{account}"


def _long_number(random: np.random.Generator, _: int) -> str:
    return "9" + _digits(random, 12)


def _digits(random: np.random.Generator, count: int) -> str:
    return "".join(map(str, random.integers(0, 10, count)))


def _luhn(number: str) -> int:
    """Add up the digits, every second one from the right doubled and cut into its digits."""
    digits = [int(digit) for digit in reversed(number)]
    return sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])


_DRAWN: dict[str, Callable[[np.random.Generator, int], str]] = {
    "e-mail": _mail,
    "phone": _phone,
    "card": _card,
    "iban": _iban,
    "long number": _long_number,
}
