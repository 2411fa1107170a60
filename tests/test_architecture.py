"""What is imported, seen in real processes: no torch where people wait or serve."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "sentence_transformers", "transformers", "datasets", "peft", "onnx")


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "module",
    [
        "desireline.sidecar.__main__",
        "desireline.sidecar.answering",
        "desireline.sidecar.wiring",
        "desireline.sidecar.doctor",
        "desireline.sidecar.demo.story",
        "desireline.trainer.encoders.onnx",
        "desireline.trainer.registry",
        "desireline.trainer.evaluation",
        "desireline.trainer.simulation.users",
    ],
)
def test_what_serves_and_what_people_type_never_loads_torch(module: str) -> None:
    assert loaded_by(f"import {module}").isdisjoint(HEAVY)


def test_asking_for_help_loads_no_engine_and_no_server() -> None:
    loaded = loaded_by(
        "from desireline.sidecar.cli.app import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass"
    )
    assert loaded.isdisjoint({*HEAVY, "opensearchpy", "lancedb", "onnxruntime", "uvicorn"})
