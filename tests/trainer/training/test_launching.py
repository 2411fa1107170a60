import io
import json

import pytest

from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import FitConfig, FitFilesJob, FitJob
from desireline.trainer.pairs import Pair, Passage, merge

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")
WORDS = ["red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer"]


def job(folder, base, **config) -> FitJob:
    passages = {word: Passage(word, f"the {word} of 42") for word in WORDS}
    pairs = [Pair(anchor=word, positive=passages[word], source="t") for word in WORDS]
    merge(pairs, {}).write(folder / "pairs")
    settings = {"max_steps": 3, "epochs": 50, "precision": "float32", "threads": 1} | config
    return FitJob(
        base=base,
        pairs=folder / "pairs",
        out=folder / "out",
        registry=folder / "registry",
        template=("title",),
        provenance={"base_model": "tiny"},
        config=FitConfig(**settings),
    )


def test_two_processes_train_one_candidate_and_the_first_registers_it(tmp_path, tiny_static):
    from desireline.trainer.registry import Registry
    from desireline.trainer.worker import run

    events = io.StringIO()
    asked = job(tmp_path, tiny_static, processes=2)
    result = run(asked, events)
    assert Registry(tmp_path / "registry").get(result["fingerprint"]).dimension == 16
    told = [json.loads(line) for line in events.getvalue().splitlines()]
    assert [each["done"] for each in told] == [1, 2, 3]
    assert not asked.out.exists()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"processes": 3}, 3),
        ({"processes": 3, "mode": "lora"}, 3),
        ({"device": "cpu"}, 1),
        ({}, 4),
        ({"self_supervised": {"objective": "tsdae"}}, 1),
    ],
)
def test_a_process_is_started_for_each_gpu_or_as_many_as_were_asked_for(
    tmp_path, tiny_static, monkeypatch, config, expected
):
    from desireline.trainer.training.launching import processes_for

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert processes_for(job(tmp_path, tiny_static, **config)) == expected


def test_files_are_learned_from_by_one_process_on_a_processor(monkeypatch):
    from desireline.trainer.training.launching import processes_for

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert processes_for(FitFilesJob(arguments={"device": "cpu"})) == 1
    assert processes_for(FitFilesJob(arguments={})) == 4
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert processes_for(FitFilesJob(arguments={})) == 1


class Ended:
    """Processes that have said what they had to say."""

    def __init__(self, *lines: str, code: int) -> None:
        self.stdout = iter(lines)
        self._code = code

    def wait(self) -> int:
        return self._code


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (['{"event": "progress", "done": 1}', "a library's words"], "one of 2 processes that"),
        (
            [
                '{"event": "error", "message": "no memory on the second"}',
                '{"event": "error", "message": "the first waits in vain"}',
                '{"event": "result", "fingerprint": "f"}',
            ],
            "no memory on the second",
        ),
    ],
)
def test_processes_that_end_too_early_end_in_one_sentence(
    tmp_path, tiny_static, monkeypatch, lines, sentence
):
    from desireline.trainer.training import launching

    monkeypatch.setattr(launching.subprocess, "Popen", lambda *_, **__: Ended(*lines, code=1))
    with pytest.raises(TrainerError, match=sentence):
        launching.run_together(job(tmp_path, tiny_static), 2, lambda event, values: None)
