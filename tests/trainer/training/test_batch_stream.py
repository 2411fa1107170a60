import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")
BATCHES = [np.array(rows) for rows in ([0, 1], [2], [3, 4, 5], [6])]


def stream(collate, *, ahead):
    from desireline.trainer.training.batch_stream import BatchStream

    return BatchStream(BATCHES, collate, torch.device("cpu"), ahead=ahead)


def collate(rows):
    numbers = torch.tensor([row["label"] for row in rows])
    return {"label": numbers, "query_input_ids": numbers[:, None], "query_lengths": numbers + 1}


@pytest.mark.parametrize("ahead", [0, 1, 2, 9])
def test_batches_come_once_and_in_order_however_many_are_made_beforehand(ahead):
    batches = stream(collate, ahead=ahead)
    assert len(batches) == 4
    found = [batch["label"].tolist() for batch in batches]
    assert found == [rows.tolist() for rows in BATCHES]


def test_batches_are_made_while_an_earlier_one_is_used():
    made, later = [], threading.Event()

    def noted(rows):
        made.append(threading.current_thread())
        if len(made) == 3:
            later.set()
        return collate(rows)

    batches = iter(stream(noted, ahead=2))
    next(batches)
    assert later.wait(timeout=60)
    assert threading.main_thread() not in made


@pytest.mark.parametrize("ahead", [0, 2])
def test_what_goes_wrong_in_a_batch_is_raised_where_it_is_wanted(ahead):
    def broken(rows):
        if rows[0]["label"] == 3:
            raise ValueError("no such row")
        return collate(rows)

    batches = iter(stream(broken, ahead=ahead))
    next(batches)
    next(batches)
    with pytest.raises(ValueError, match="no such row"):
        next(batches)


def test_nobody_makes_batches_any_more_when_training_ends_early():
    batches = iter(stream(collate, ahead=2))
    next(batches)
    del batches
    assert not [each for each in threading.enumerate() if each.name.startswith("batches")]
