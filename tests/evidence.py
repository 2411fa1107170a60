"""What proves the promises, run now and counted: goals, figures, and the page that shows them.

python tests/evidence.py [--quick] [--json FILE] [--page FILE] [--only PART ...] [--keep FILE]

A part that is missing or breaks down fails its goals; nothing is left out silently. A full run
writes docs/evidence.md, a quick one only the page that is named. A full run takes hours: parts
that are not run again can be kept from the JSON of an earlier run, each with its date and commit.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from desireline.sidecar.demo.opensearch_node import acquire_node

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "evidence.md"
Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One promise as a number."""

    name: str
    goal: str
    value: object
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How this run of the proof is made."""

    quick: bool
    seed: int
    url: str
    scratch: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One way to prove something: a program that writes figures, and what they must be."""

    name: str
    measure: Callable[[Setting], Figures]
    goals: Callable[[Figures, bool], Iterator[Goal]]


def pytest_figures(
    *paths: str, quick: str | None = "not slow", only: str = "", opensearch: str = ""
) -> Callable[[Setting], Figures]:
    """Run tests; a quick run leaves some out, or all of them when `quick` is None.

    `only` is an expression of names; where a version is named, the tests start a node of it.
    """

    def measure(setting: Setting) -> Figures:
        if setting.quick and quick is None:
            return {"left_out": "not in a quick run"}
        report = setting.scratch / "report.xml"
        command = ["-m", "pytest", "-q", *paths, f"--junitxml={report}"]
        command += ["-k", only] if only else []
        command += ["-m", quick] if setting.quick and quick else []
        _run(command, setting, opensearch)
        return _read_cases(report)

    return measure


def _read_cases(report: Path) -> Figures:
    cases = [
        {
            "name": str(case.get("name")),
            "outcome": next(
                (part.tag for part in case if part.tag in {"failure", "error", "skipped"}), "passed"
            ),
            "seconds": float(str(case.get("time"))),
            **{p.get("name"): p.get("value") for p in case.iter("property")},
        }
        for case in ET.parse(report).iter("testcase")
    ]
    return {"cases": cases, "passed": sum(case["outcome"] == "passed" for case in cases)}


def program_figures(
    program: str, *, quick: Sequence[str], full: Sequence[str], url: bool = False
) -> Callable[[Setting], Figures]:
    """Run a program that writes its figures as JSON."""

    def measure(setting: Setting) -> Figures:
        report = setting.scratch / f"{Path(program).stem}.json"
        more = ["--url", setting.url, "--seed", str(setting.seed)] if url else []
        options = [*(quick if setting.quick else full), *more, "--json", str(report)]
        _run([str(ROOT / program), *options], setting)
        found: Figures = json.loads(report.read_text())
        return found

    return measure


def _run(arguments: Sequence[str], setting: Setting, opensearch: str = "") -> None:
    environment = os.environ | {"OPENSEARCH_URL": setting.url}
    if opensearch:
        environment |= {"OPENSEARCH_URL": "", "OPENSEARCH_VERSION": opensearch, "CI": "1"}
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=False)


def all_passed(name: str) -> Callable[[Figures, bool], Iterator[Goal]]:
    def goals(found: Figures, _quick: bool) -> Iterator[Goal]:
        wanted = sum(case["outcome"] != "skipped" for case in found["cases"])
        passed = found["passed"]
        yield Goal(name=name, goal=f"all {wanted}", value=passed, holds=0 < wanted == passed)

    return goals


def broken_calls(found: Figures, quick: bool) -> Iterator[Goal]:
    yield from all_passed("re-embeddings under every fault, all ended as without")(found, quick)
    runs = sum(int(case.get("runs", 0)) for case in found["cases"])
    yield at_least("runs with one broken call to OpenSearch", runs, 20 if quick else 1_000)


def migrations(found: Figures, quick: bool) -> Iterator[Goal]:
    yield at_least("simulated migrations", found["migrations"], 300 if quick else 10_000)
    yield none("violations of an invariant in them", found["violations"])


def power(found: Figures, quick: bool) -> Iterator[Goal]:
    kinds = found["kinds"].values()
    planted = sum(kind["planted"] for kind in kinds)
    yield at_least("kinds of planted corruption", len(kinds), 10)
    yield at_least("planted corruptions", planted, 100 if quick else 1_000)
    yield none("planted corruptions overlooked", planted - sum(kind["found"] for kind in kinds))


def load(found: Figures, quick: bool) -> Iterator[Goal]:
    yield at_least("acknowledged writes", found["acknowledged"], 20_000 if quick else 1_000_000)
    for wrong in ("lost", "resurrected", "overwritten"):
        yield none(f"acknowledged writes {wrong}", found[wrong])
    yield none("documents whose vector is of an older text at the end", found["stale"])
    yield at_least(
        "cut-overs and reverts under load", found["cut_overs_and_reverts"], 36 if quick else 1_000
    )
    for wrong in ("failed", "empty", "mixed"):
        yield none(f"searches {wrong} of {found['searches']:,}", found[wrong])
    missed = found["unreached"]
    yield Goal(
        name="searches in which Lucene's graph missed a document that is there",
        goal="at most a tenth",
        value=missed,
        holds=missed * 10 <= found["searches"],
    )


def its_own(found: Figures, _quick: bool) -> Iterator[Goal]:
    """What a benchmark holds against its figures itself."""
    yield from (Goal(**goal) for goal in found["goals"])


def at_least(name: str, value: int, least: int) -> Goal:
    return Goal(name=name, goal=f"at least {least:,}", value=value, holds=value >= least)


def none(name: str, value: int) -> Goal:
    return Goal(name=name, goal="0", value=value, holds=value == 0)


FAULTS = "tests/faults"
OLDER = "2.19.1"
PARTS = (
    Part(
        name="journeys",
        measure=pytest_figures("tests/journeys"),
        goals=all_passed("journeys that end as promised"),
    ),
    Part(
        name="crashes",
        measure=pytest_figures(f"{FAULTS}/test_every_step.py", f"{FAULTS}/test_owners.py"),
        goals=all_passed("runs killed or halted at a step that ended as if they had not been"),
    ),
    Part(
        name="faults",
        measure=pytest_figures(f"{FAULTS}/test_every_call.py"),
        goals=broken_calls,
    ),
    Part(
        name="three nodes",
        measure=pytest_figures(f"{FAULTS}/test_three_nodes.py", quick=None),
        goals=all_passed("runs that outlived the node with the primary"),
    ),
    Part(
        name=f"OpenSearch {OLDER}",
        measure=pytest_figures(
            *("tests/contracts", f"{FAULTS}/test_every_step.py"),
            only="opensearch",
            opensearch=OLDER,
        ),
        goals=all_passed("contracts and killed runs on the older version"),
    ),
    Part(
        name="simulation",
        measure=program_figures(
            "tests/simulation/migrations.py", quick=("--count", "300"), full=("--count", "10000")
        ),
        goals=migrations,
    ),
    Part(
        name="verification",
        measure=program_figures(
            "tests/verification/power.py", quick=("--count", "10"), full=("--count", "100")
        ),
        goals=power,
    ),
    Part(
        name="load",
        measure=program_figures(
            "tests/load/load_run.py",
            quick=("--writes", "20000", "--swaps", "36"),
            full=("--writes", "1000000", "--swaps", "1000"),
            url=True,
        ),
        goals=load,
    ),
    Part(
        name="gate",
        measure=program_figures("tests/benchmarks/gate.py", quick=("--quick",), full=()),
        goals=its_own,
    ),
)


def prove(part: Part, setting: Setting) -> tuple[dict[str, Any], list[Goal]]:
    """Run one part; what breaks it is its result."""
    began = time.monotonic()
    try:
        found = dict(part.measure(setting))
        goals = [] if "left_out" in found else list(part.goals(found, setting.quick))
    except Exception as error:  # noqa: BLE001 - whatever it is, the promise is not proved
        found = {"error": f"{type(error).__name__}: {error}"}
        goals = [Goal(name=part.name, goal="to be measured", value=found["error"], holds=False)]
    return {**found, "took_s": round(time.monotonic() - began, 1)}, goals


def circumstances(setting: Setting) -> dict[str, str]:
    """Say what was proved, with what, on what and when."""
    with urllib.request.urlopen(setting.url, timeout=30) as answer:
        node = json.load(answer)["version"]
    changed = bool(_git("status", "--porcelain", "--untracked-files=no"))
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "run": "quick" if setting.quick else "full",
        "seed": str(setting.seed),
        "commit": (_git("rev-parse", "HEAD") or "unknown")
        + (" and changes to it" if changed else ""),
        "desireline": version("desireline"),
        "OpenSearch": f"{node['number']}, Lucene {node['lucene_version']}",
        "Python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def kept_parts(earlier: Path) -> dict[str, dict[str, Any]]:
    """Read the parts of an earlier run, each as of its own date and commit."""
    parts: dict[str, dict[str, Any]] = json.loads(earlier.read_text())["parts"]
    return parts


def write_page(path: Path, told: Mapping[str, str], parts: Mapping[str, Figures]) -> None:
    """Write what was proved as a page of tables."""
    lines = [
        "# Evidence",
        "",
        "Written by `make evidence`; every figure below was counted, none typed in. What each part"
        " does is said where it lives, under `tests/`.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in told.items()),
        "",
        "| part | what | goal | found | holds |",
        "|---|---|---|---|---|",
    ]
    for name, part in parts.items():
        if "left_out" in part:
            lines.append(f"| {name} | {part['left_out']} | | | |")
        for goal in part.get("goals", ()):
            value = f"{goal['value']:,}" if isinstance(goal["value"], int) else goal["value"]
            holds = "yes" if goal["holds"] else "**no**"
            lines.append(f"| {name} | {goal['name']} | {goal['goal']} | {value} | {holds} |")
    lines += ["", "| part | counted | at commit | seconds |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {part['date']} | {part['commit']} | {part['took_s']:.0f} |"
        for name, part in parts.items()
    ]
    path.write_text("\n".join([*lines, ""]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of an hour, fewer of each")
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--page", type=Path, help="where the page goes")
    parser.add_argument("--only", nargs="*", choices=[part.name for part in PARTS])
    parser.add_argument("--keep", type=Path, help="JSON of an earlier run, for parts not run now")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    chosen = [part for part in PARTS if options.only is None or part.name in options.only]
    java_home = os.environ.get("OPENSEARCH_JAVA_HOME")
    node = acquire_node(
        os.environ.get("OPENSEARCH_URL"), java_home=Path(java_home) if java_home else None
    )
    proved: dict[str, dict[str, Any]] = {}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            setting = Setting(
                quick=options.quick, seed=options.seed, url=node.url, scratch=Path(scratch)
            )
            told = circumstances(setting)
            when = {name: told.pop(name) for name in ("date", "commit")}
            for part in chosen:
                found, goals = prove(part, setting)
                proved[part.name] = {**found, **when, "goals": [asdict(goal) for goal in goals]}
    finally:
        node.close()
    kept = kept_parts(options.keep) if options.keep else {}
    parts = {p.name: found for p in PARTS if (found := proved.get(p.name) or kept.get(p.name))}
    return 0 if tell(options, told, parts) else 1


def tell(
    options: argparse.Namespace, told: Mapping[str, str], parts: Mapping[str, Figures]
) -> bool:
    """Write what was proved where it is wanted; return whether all of it holds."""
    every = [goal for part in parts.values() for goal in part["goals"]]
    print(json.dumps(every, indent=2))
    if options.json:
        told_all = {**told, "goals": every, "parts": parts}
        options.json.write_text(json.dumps(told_all, indent=2) + "\n")
    page = options.page or (PAGE if not options.quick and options.only is None else None)
    if page is not None:
        write_page(page, told, parts)
    return bool(every) and all(goal["holds"] for goal in every)


if __name__ == "__main__":
    sys.exit(main())
