"""Every benchmark of this folder, one after the other; exit code 1 when one misses its goal."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__)
#: A quick run of all is a quarter of an hour, of which each of these takes a good part for itself.
LONG = frozenset(
    {
        "demo_miners",
        "first_night",
        "fit",
        "forgetting",
        "gate",
        "joint",
        "miners",
        "own_data",
        "poisoning",
        "synthesis",
        "small",
        "tuning",
    }
)


def main() -> int:
    """Run them as `make bench` does and gather what each wrote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, rougher numbers")
    parser.add_argument("--json", type=Path, help="file for the numbers, by benchmark")
    options = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    missed = []
    left_out = LONG if options.quick else frozenset()
    for path in sorted(set(HERE.parent.glob("*.py")) - {HERE}):
        if path.stem in left_out:
            continue
        sys.stdout.write(f"== {path.stem}\n")
        sys.stdout.flush()
        found, code = run(path, quick=options.quick)
        results[path.stem] = found
        missed += [path.stem] if code else []
    if options.json:
        goals = [goal for found in results.values() for goal in found.get("goals", [])]
        told = {"goals": goals, "left_out": sorted(left_out), **results}
        options.json.write_text(json.dumps(told, indent=2) + "\n")
    if left_out:
        sys.stdout.write(f"left out of a quick run: {', '.join(sorted(left_out))}\n")
    sys.stdout.write(f"missed: {', '.join(missed) or 'none'}\n")
    return 1 if missed else 0


def run(path: Path, *, quick: bool) -> tuple[dict[str, Any], int]:
    """Return what a benchmark wrote as JSON (empty without) and its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        numbers = Path(folder, "numbers.json")
        command = [sys.executable, str(path), "--json", str(numbers)]
        done = subprocess.run(command + ["--quick"] * quick, check=False)
        return (json.loads(numbers.read_text()) if numbers.exists() else {}), done.returncode


if __name__ == "__main__":
    sys.exit(main())
