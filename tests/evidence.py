"""What proves the promises: journeys and crashes on real engines, run now and counted.

python tests/evidence.py [--quick] [--json FILE]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

HERE = Path(__file__).parent
PROMISES = {
    "journeys that end as promised": HERE / "journeys",
    "crashes after which the same command ends as if there had been none": HERE / "scenarios",
}


def run(folder: Path, report: Path, *, quick: bool) -> list[dict[str, str]]:
    """Run the tests of a folder and return name and outcome of each."""
    command = [sys.executable, "-m", "pytest", "-v", str(folder), f"--junitxml={report}"]
    subprocess.run(command + ["-m", "not slow"] * quick, check=False)
    return [
        {
            "name": str(case.get("name")),
            "outcome": next((part.tag for part in case if part.tag != "system-out"), "passed"),
            "seconds": str(case.get("time")),
        }
        for case in ET.parse(report).iter("testcase")
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out what is marked slow")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()
    found: dict[str, Any] = {"goals": []}
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in PROMISES.items():
            cases = run(folder, Path(scratch, "report.xml"), quick=options.quick)
            kept = sum(case["outcome"] == "passed" for case in cases)
            found[folder.name] = cases
            found["goals"].append(
                {
                    "name": name,
                    "goal": f"all {len(cases)}",
                    "value": kept,
                    "holds": bool(cases) and kept == len(cases),
                }
            )
    print(json.dumps(found["goals"], indent=2))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if all(goal["holds"] for goal in found["goals"]) else 1


if __name__ == "__main__":
    sys.exit(main())
