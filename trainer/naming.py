"""What somebody meant who wrote a name that is not known."""

import difflib
from collections.abc import Iterable


def take_one_of(name: str, known: Iterable[str]) -> str:
    """Return the next step of an error: the nearest of the known names, and all of them."""
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), sorted(by_lower), n=1)
    meant = f"did you mean {by_lower[close[0]]}? " if close else ""
    return f"{meant}take one of {', '.join(sorted(by_lower.values()))}"
