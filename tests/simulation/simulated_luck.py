"""How much goes wrong in one simulated migration, and where."""

import random
import re
from dataclasses import dataclass

from simulated_target import INDEX, NAME

from desireline.connectors.documents import digest
from desireline.sidecar.ways.choice import Way


def _record(kind: str, key: str) -> str:
    """Return the path of a record of the state store."""
    return re.escape(f"/.desireline-state/_doc/{digest(f'{len(kind)}:{kind}{key}')}")


#: Requests of which a seed chooses one to be struck far more often than the rest.
_POINTER, _GENERATION_2 = _record("pointer", NAME), _record("generation", f"{NAME}:{2:08d}")
_IN_SLOTS = (
    f"(GET|PUT) ({_POINTER}|{_GENERATION_2})",
    f"(GET|PUT) ({_POINTER}|{_GENERATION_2})",
    f"PUT {_POINTER}",
    r"POST /jobs/_bulk",
    r"POST /jobs/_refresh",
    r"GET /jobs/_stats.*",
    r"POST /_search",
    r"POST /jobs/_mget",
    r"PUT /\.desireline.*",
    r"GET /\.desireline.*",
    r"POST /jobs/_search",
)
_BLOCK = _record("write_block", f"{NAME}:{INDEX}-v1")
_BEHIND_AN_ALIAS = (
    f"(GET|PUT) ({_POINTER}|{_GENERATION_2})",
    f"PUT {_POINTER}",
    f"(GET|PUT|DELETE) {_BLOCK}",
    r"POST /_aliases",
    r"POST /_aliases",
    r"GET /jobs.*/_alias",
    r"PUT /jobs.*/_block/write",
    r"PUT /jobs.*/_settings",
    r"PUT /jobs-gen-\d+",
    r"POST /jobs-.*-Owner-\d+/_bulk",
    r"POST /jobs-.*-Owner-\d+/_bulk",
    r"POST /jobs.*/_mget",
    r"GET /jobs.*/_stats.*",
    r"POST /jobs.*/_refresh",
    r"POST /jobs.*/_search",
    r"POST /_search",
    r"PUT /\.desireline.*",
)


@dataclass(slots=True)
class Luck:
    """How much goes wrong, drawn once a seed."""

    tender: re.Pattern[str]
    kills: int
    freezes: int
    failovers: int
    faults: int
    rate: float


def draw_luck(rng: random.Random, way: Way) -> Luck:
    draw = rng.choice
    return Luck(
        tender=re.compile(draw(_IN_SLOTS if way == "slot" else _BEHIND_AN_ALIAS)),
        kills=draw((0, 0, 1, 2, 3)),
        freezes=draw((0, 0, 1, 2)),
        failovers=draw((0, 0, 1, 2, 4)),
        faults=draw((0, 0, 4, 12, 30)),
        rate=draw((0.005, 0.02, 0.05)),
    )
