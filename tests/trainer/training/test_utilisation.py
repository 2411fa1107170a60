import itertools

import pytest

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")


def looked_at(device="cpu", *, threads=2, spent_each=1.5):
    from desireline.trainer.training.utilisation import Utilisation

    wall, spent = itertools.count(), itertools.count()
    looking = Utilisation(
        device=torch.device(device),
        threads=threads,
        clock=lambda: float(next(wall)),
        spent=lambda: spent_each * next(spent),
    )
    looking.begin(None)
    for _ in range(3):
        looking.stepped(None)
    looking.end(None)
    return looking.busy


def test_a_processor_is_busy_to_the_share_of_its_cores():
    assert looked_at().sentence == "2 cores busy 75%"
    assert looked_at(threads=1, spent_each=0.5).sentence == "one core busy 50%"


def test_a_gpu_that_nobody_can_ask_is_not_said_to_be_idle(monkeypatch):
    from desireline.trainer.training import utilisation

    monkeypatch.setattr(utilisation.importlib.util, "find_spec", lambda name: None)
    assert looked_at("cuda").sentence == "GPU busy: not known"


def test_a_gpu_is_busy_to_the_mean_of_what_its_driver_says(monkeypatch):
    from desireline.trainer.training import utilisation

    answers = itertools.chain([90, 100], itertools.repeat(95))
    monkeypatch.setattr(utilisation, "_EVERY_S", 0.001)
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: next(answers))
    samples = utilisation._GpuSamples(torch.device("cuda"))
    while len(samples._seen) < 3:
        samples._thread.join(0.01)
    assert 0.9 <= samples.mean() <= 1
