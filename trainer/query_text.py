"""The one place where what users typed is normalised."""

import unicodedata


def normalise(text: str) -> str:
    """Fold what users do not mean: width, ligatures, case and whitespace.

    Folded twice, because folding case can leave a text that NFKC would change again
    (Unicode's toNFKC_Casefold); so normalising twice changes nothing more.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).casefold().split())
