"""What others wrote, such as a query or a model's name, moves no cursor and sets no title."""

#: C0, DEL and C1 without line breaks and tabs: what a terminal takes for an order.
_ORDERS = {
    code: "\N{REPLACEMENT CHARACTER}"
    for code in (*range(0x20), *range(0x7F, 0xA0))
    if chr(code) not in "\n\t"
}


def printable(text: str) -> str:
    """Return a text whose control characters can be seen instead of obeyed."""
    return text.translate(_ORDERS)
