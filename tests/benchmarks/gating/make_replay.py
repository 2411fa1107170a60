"""Makes trainer/general/replay.txt, by rule, from ../shared/data; run by hand, the result is kept.

    python tests/benchmarks/gating/make_replay.py ../shared/data trainer/general/replay.txt

Drawings of the Open Clip Art Library that the general suite does not hold: of each its title,
its description and its keywords, a line each. No line is a text or a query of the suite.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from desireline.trainer.general.suite import builtin_suite
from desireline.trainer.query_text import normalise

LONGEST = 300


def main(data: Path, out: Path) -> None:
    """Write one text a line."""
    judged = {
        normalise(text)
        for part in builtin_suite()
        for text in (*part.documents.values(), *part.qrels)
    }
    known = {document for part in builtin_suite() for document in part.documents}
    rows = map(json.loads, (data / "openclipart" / "items.jsonl").read_text("utf-8").splitlines())
    texts = [text for row in rows if row["id"] not in known for text in _texts(row)]
    kept = dict.fromkeys(text for text in texts if normalise(text) not in judged)
    out.write_text("".join(f"{text}\n" for text in kept), encoding="utf-8")


def _texts(row: dict[str, str]) -> Iterator[str]:
    for text in (row["title"], row["description"], ", ".join(row["keywords"])):
        line = re.sub(r"\s+", " ", text or "").strip()[:LONGEST]
        if len(line.split()) > 1:
            yield line


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
