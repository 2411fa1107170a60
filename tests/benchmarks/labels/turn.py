"""One turn of the position-based model over the same pages: PyClick, and ours.

PyPI's package of that name is another program, so PyClick comes from a checkout; without one a loop
of our own stands for it: session by session with dictionaries, as PyClick does, and faster.
"""

import json
import statistics
from pathlib import Path

from part import Part
from programs import output

OURS, GOAL = "desireline", 20


def measure(part: Part, *, quick: bool, pyclick: Path | None = None) -> None:
    """Let PyClick, or what stands for it, and our step take turns."""
    count = 20_000 if quick else 100_000
    told = output(Path(__file__).with_name("peer.py"), str(count), *_checkout(part, pyclick))
    found = json.loads(told.splitlines()[-1])
    part.timings.append({"way": "per iteration", **found})
    for way, seconds in found["seconds"].items():
        part.lines.append(
            f"{way:18}{1000 * min(seconds):9.2f} ms an iteration over {count:,} events"
        )
    rounds = zip(found["seconds"][OURS], found["seconds"][found["peer"]], strict=True)
    ratio = statistics.median(theirs / ours for ours, theirs in rounds)
    name = f"labels: times {found['peer']}, an iteration"
    part.expect(name, f">= {GOAL}", ratio, holds=ratio >= GOAL)


def _checkout(part: Part, pyclick: Path | None) -> list[str]:
    """Return the folder if PyClick is in it; else say why a plain loop stands for it."""
    if pyclick is None:
        part.not_run["PyClick"] = "no --pyclick folder; a plain loop stands for it"
        return []
    if not (pyclick / "pyclick" / "click_models" / "PBM.py").is_file():
        part.failed = True
        part.not_run["PyClick"] = (
            f"{pyclick} holds no pyclick/click_models/PBM.py: name a checkout of"
            " github.com/markovi/PyClick; a plain loop stands for it"
        )
        return []
    return [str(pyclick)]
