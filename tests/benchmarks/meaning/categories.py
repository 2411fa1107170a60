"""Which category a document of a world is of."""

from collections.abc import Callable

from mining.worlds import World

CATEGORY: dict[str, Callable[[str], str]] = {
    "banking77": lambda name: name,
    "onet": lambda name: name[:2],
    "tldr": lambda name: name.split("/")[0],
}


def categories_in(world: World) -> dict[str, tuple[str, ...]]:
    """Return the categories by document_id."""
    of = CATEGORY[world.name]
    return {name: (of(name),) for name in world.documents}
