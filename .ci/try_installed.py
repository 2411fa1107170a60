"""Try an installed wheel from outside the checkout: its files, its imports, its command."""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

#: What the base install must import without torch.
TRY = """
import importlib, json, pkgutil, sys
from desireline.connectors.errors import PluginMissingError
found, missing = [], []
for root in ("connectors", "trainer", "sidecar"):
    package = importlib.import_module(f"desireline.{root}")
    found.append(package.__name__)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
            found.append(module.name)
        except PluginMissingError as error:
            missing.append([module.name, (error.__cause__.name or "").split(".")[0]])
        except ModuleNotFoundError as error:
            missing.append([module.name, (error.name or "").split(".")[0]])
print(json.dumps({"found": found, "missing": missing, "torch": "torch" in sys.modules}))
"""
EXTRAS = {
    *("torch", "sentence_transformers", "transformers", "datasets", "peft", "onnx", "accelerate"),
    *("lancedb", "pyarrow", "lance"),
    "cryptography",
}


def main(python: str, wheel: str) -> int:
    """Return 0 when the wheel is whole and works; say what is wrong otherwise."""
    wrong = [*missing_files(Path(wheel)), *wrong_imports(python), *wrong_commands(python)]
    for sentence in wrong:
        sys.stderr.write(f"{sentence}\n")
    return 1 if wrong else 0


def missing_files(wheel: Path) -> list[str]:
    """Compare the wheel with the folders it was built from."""
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    root = Path(__file__).parents[1]
    expected = {
        f"desireline/{path.relative_to(root).as_posix()}"
        for part in ("connectors", "trainer", "sidecar")
        for path in (root / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return [f"{name} is not in the wheel" for name in sorted(expected - packed)]


def wrong_imports(python: str) -> list[str]:
    """Import every module; only what an extra brings may be missing, and torch never loads."""
    said = json.loads(run([python, "-c", TRY]))
    sys.stdout.write(f"{len(said['found'])} modules import without the extras\n")
    wrong = [f"{name} needs {need}" for name, need in said["missing"] if need not in EXTRAS]
    return [*wrong, *(["torch was loaded"] if said["torch"] else [])]


def wrong_commands(python: str) -> list[str]:
    """Ask the installed command for its help."""
    command = str(Path(python).with_name("desireline"))
    said = run([command, "--help"])
    return [] if "reindex" in said else ["desireline --help does not name its commands"]


def run(command: list[str]) -> str:
    """Run outside the checkout, so that nothing is imported from it."""
    with tempfile.TemporaryDirectory() as outside:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command, capture_output=True, text=True, check=False, cwd=outside
        )
    if done.returncode:
        sys.exit(f"{' '.join(command[:2])} failed:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
