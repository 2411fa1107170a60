"""Several processes that train together, really started by torchrun, on the processor."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from desireline.trainer.pairs import Pair, Passage, merge

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")
PROGRAM = Path(__file__).parent / "together.py"


@pytest.fixture
def folder(tmp_path, tiny_bert, tiny_static):
    random = np.random.default_rng(0)
    words = ["red", "shoe", "nurse", "garden", "software", "blue"]
    texts = [" ".join(random.choice(words, random.integers(1, 12))) for _ in range(23)]
    pairs = [
        Pair(
            anchor=f"{text} {number % 7}",
            positive=Passage(f"d{number}", f"{text} {number}"),
            source="t",
            weight=1 + number % 3,
            score=1 - 0.1 * (number % 4),
        )
        for number, text in enumerate(texts)
    ]
    merge(pairs, {pairs[0].anchor: frozenset({"d3"})}).write(tmp_path / "pairs")
    shutil.copytree(tiny_bert, tmp_path / "bert")
    shutil.copytree(tiny_static, tmp_path / "static")
    return tmp_path


def start(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.run(
        [sys.executable, *torchrun, str(PROGRAM), str(folder), *more],
        capture_output=True,
        text=True,
        check=False,
        timeout=590,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )


def alone():
    spec = importlib.util.spec_from_file_location("together", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_processes_learn_as_one_does_and_the_first_alone_writes_and_speaks(folder):
    one = json.loads(
        json.dumps({"training": alone().training(folder), "gradients": alone().gradients(folder)})
    )
    weights = np.load(folder / "weights-0.npz")
    of_one = {name: weights[name] for name in weights.files}
    shutil.rmtree(folder / "out")
    done = start(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    both = [json.loads((folder / f"seen-{number}.json").read_text()) for number in range(2)]

    assert one["training"]["steps"] == 4
    assert [each["training"]["steps"] for each in both] == [4, 4]
    assert [each["training"]["told"] for each in both] == [[1, 2, 3, 4], []]
    assert not list(folder.glob("out.*"))
    first, second = (np.load(folder / f"weights-{number}.npz") for number in range(2))
    for name, weight in of_one.items():
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        np.testing.assert_allclose(first[name], weight, atol=1e-4, err_msg=name)
    assert len(one["gradients"]) == 9
    for each in both:
        np.testing.assert_allclose(each["training"]["losses"], one["training"]["losses"], rtol=1e-4)
        assert_same_gradients(each["gradients"], one["gradients"])


def assert_same_gradients(found, expected):
    """Of the loss of one batch, summed over the processes."""
    assert found.keys() == expected.keys()
    for loss, values in expected.items():
        assert found[loss].keys() == values.keys()
        for name, value in values.items():
            np.testing.assert_allclose(
                found[loss][name], value, atol=2e-5, rtol=1e-3, err_msg=f"{loss}: {name}"
            )


def test_a_killed_process_ends_the_others_and_nothing_is_written(folder):
    done = start(folder, "killed")
    assert done.returncode != 0
    assert not (folder / "out").exists()
    told = folder / "error-0.txt"
    if told.exists():  # torchrun may have ended it before it could say so
        assert "waits in vain for another one" in told.read_text()
    assert not list(folder.glob("seen-*.json"))


def test_one_process_has_no_others_to_wait_for():
    from desireline.trainer.peers import peers

    alone = peers()
    assert (alone.count, alone.leads, alone.agreed("x")) == (1, True, "x")
    gradient = torch.ones(2)
    alone.add_up([gradient, None])
    assert gradient.tolist() == [1, 1]
