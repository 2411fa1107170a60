import numpy as np
import pytest

from desireline.trainer.errors import NothingToLearnError
from desireline.trainer.lessons import Lessons
from desireline.trainer.pairs import Pair, Passage, merge
from desireline.trainer.training.batches import MOST_AGAIN, BatchPlan, schedule


def lessons(pairs_of_document):
    return Lessons.of(
        merge(
            [
                Pair(anchor=f"{name} {number}", positive=Passage(name, f"text {name}"), source="t")
                for name, count in pairs_of_document.items()
                for number in range(count)
            ],
            {},
        ),
        hard_negatives=0,
    )


def drawn(table, *, documents=4, pairs_a_document=2, alike=1, steps=1000, epochs=1.0, **more):
    plan = BatchPlan(documents=documents, pairs_a_document=pairs_a_document, alike=alike)
    options = {"likeness": None, "seed": 0, **more}
    return schedule(table, plan, steps=steps, epochs=epochs, **options)


TABLE = lessons({f"d{number}": 1 + number % 5 for number in range(40)})


def test_a_batch_has_as_many_documents_as_asked_and_few_pairs_of_each():
    for batch in drawn(TABLE)[:-4]:
        documents, counts = np.unique(TABLE.positive[batch], return_counts=True)
        assert len(documents) == 4
        assert counts.max() <= 2


def test_no_pair_comes_twice_in_an_epoch_and_few_are_left_out():
    rows = np.concatenate(drawn(TABLE))
    assert len(set(rows.tolist())) == len(rows)
    assert len(rows) > 0.9 * len(TABLE.anchors)


def test_the_schedule_ends_at_its_steps_or_its_epochs():
    assert len(drawn(TABLE, steps=7, epochs=50)) == 7
    assert sum(map(len, drawn(TABLE, epochs=2.5))) <= 2.5 * len(TABLE.anchors)
    assert len(drawn(TABLE, steps=3, epochs=1e-9)) == 1


def test_few_pairs_are_seen_again_until_there_are_enough_steps_but_not_for_ever():
    once = len(drawn(TABLE, epochs=1.0))
    again = drawn(TABLE, epochs=1.0, least_steps=3 * once)
    assert len(again) >= 3 * once
    assert len(again) < 3 * once + once
    always = drawn(TABLE, epochs=1.0, least_steps=1_000)
    assert MOST_AGAIN - 1 < sum(map(len, always)) / len(TABLE.anchors) <= MOST_AGAIN
    assert len(drawn(TABLE, epochs=1.0, least_steps=once)) == once


def test_the_same_seed_draws_the_same_batches_and_another_draws_others():
    def flat(seed):
        return np.concatenate(drawn(TABLE, seed=seed)).tolist()

    assert flat(1) == flat(1) != flat(2)


def test_documents_that_are_alike_share_batches():
    groups = np.eye(10, dtype=np.float32)[np.arange(40) % 10]

    def shared(**more):
        batches = drawn(TABLE, documents=8, **more)
        return np.mean(
            [len(b) / len(np.unique(TABLE.positive[b] % 10)) for b in batches if len(b) > 4]
        )

    assert shared(alike=4, likeness=groups) > 1.5 * shared()


@pytest.mark.parametrize("counts", [{"a": 1, "b": 1}, {"a": 9, "b": 1}, {"a": 1, "b": 1, "c": 1}])
def test_the_smallest_sets_still_give_batches_that_can_teach(counts):
    table = lessons(counts)
    for batch in drawn(table, documents=64):
        assert len(np.unique(table.positive[batch])) >= 2


def test_one_document_leaves_nothing_to_tell_apart():
    with pytest.raises(NothingToLearnError, match="nothing to tell apart"):
        lessons({"a": 5})
