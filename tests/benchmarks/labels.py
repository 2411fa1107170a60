"""From events to labels: pulling them, and sessions, counts and the position-based model.

    python tests/benchmarks/labels.py [--quick] [--json FILE] [--pyclick FOLDER] [--only PART ...]

Each part is a file of `labels/` with `measure(quick, **options) -> Part`: `aggregate` (10 million
events against a plain pandas version), `turn` (one turn of the model against PyClick), `pull` (a
real OpenSearch). Every way runs in a process of its own and they take turns in every round, so a
busy machine is busy for all of them: read the ratios, not the numbers. A part that fails is
reported as not run, with its reason, and the others count; the exit code is then 1.

PyClick is the folder of a checkout of github.com/markovi/PyClick, the one with `pyclick/` and
`setup.py` in it: PyPI's package of that name is another program.
"""

import argparse
import importlib
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "labels"))

from goals.held import conclude
from part import Part

PARTS = ("aggregate", "turn", "pull")


def measure(name: str, *, quick: bool, pyclick: Path | None) -> Part:
    options = {"pyclick": pyclick} if name == "turn" else {}
    part = Part(name=name)
    try:
        importlib.import_module(name).measure(part, quick=quick, **options)
    except Exception as error:  # noqa: BLE001 - what one met must not cost the others
        part.not_run[name] = str(error)
        part.failed = True
    return part


def report(part: Part) -> None:
    for line in part.lines:
        print(line)
    for name, reason in part.not_run.items():
        print(f"not run: {name}: {reason}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a tenth of the events, fewer rounds")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--pyclick", type=Path, help="a checkout of PyClick")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS, help="parts to run")
    asked = parser.parse_args()
    parts = []
    for name in asked.only:
        parts.append(measure(name, quick=asked.quick, pyclick=asked.pyclick))
        report(parts[-1])
    goals = [goal for part in parts for goal in part.goals]
    told = {part.name: asdict(part) for part in parts}
    missed = conclude("labels", goals, quick=asked.quick, file=asked.json, parts=told)
    return max(missed, int(any(part.failed for part in parts)))


if __name__ == "__main__":
    sys.exit(main())
