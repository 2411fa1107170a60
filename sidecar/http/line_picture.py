"""A model's line as a picture: the model it all began with, then what was made of it, to itself."""

from collections.abc import Sequence

from desireline.sidecar.http.markup import Child, Markup, element
from desireline.sidecar.models.description import Ancestor
from desireline.sidecar.models.facts import SHORT, day


def line_picture(line: Sequence[Ancestor], models: str, *, here: str = "") -> Markup:
    """Return one box a model, each with an arrow to what was made of it.

    Args:
        line: the first model first.
        models: address of the page that lists them.
        here: fingerprint of the model whose page this is; its box is no link.

    """
    boxes = [_box(each, models, here) for each in line]
    return element("ol", boxes, class_="line", aria_label="Line: what was made from what")


def _box(each: Ancestor, models: str, here: str) -> Markup:
    short = element("code", each.fingerprint[:SHORT])
    if each.made_at is None:
        return element("li", short, element("small", "no longer registered"), class_="gone")
    itself = each.fingerprint == here
    link = short if itself else element("a", short, href=f"{models}/{each.fingerprint[:SHORT]}")
    told: list[Child] = [link, element("small", f"{each.mode}, {day(each.made_at)}")]
    return element("li", told, class_="here" if itself else None)
