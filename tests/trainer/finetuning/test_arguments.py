"""What `fit` cannot be asked for is told at once, with all the rest that is wrong."""

import json
import os

import pytest

pytest.importorskip("torch", reason="needs desireline[trainer]")

from desireline.trainer.callbacks import EarlyStopping, EvaluationCallback, WiSEFTCallback
from desireline.trainer.errors import (
    FitArgumentsError,
    LossError,
    NothingToLearnError,
    TrainerError,
    TrainingDataError,
)

ROWS = [(word, f"the {word} of 42") for word in ("red", "blue", "shoe", "garden")]
TRIPLETS = {"loss": "TripletMarginLoss", "miner": "TripletMarginMiner"}


@pytest.fixture
def refused(tiny_static, tmp_path):
    """Ask `fit` for something wrong; return what it says, after a look for what it left."""

    def refused(error, *, rows=ROWS, out=None, **more):
        from desireline.trainer import fit

        before = sorted(tmp_path.iterdir())
        with pytest.raises(error) as caught:
            fit(tiny_static, rows, out=out or tmp_path / "out", **{"threads": 1} | more)
        assert sorted(tmp_path.iterdir()) == before
        assert "nothing was trained" in str(caught.value)
        assert caught.value.next_step
        return f"{caught.value}; {caught.value.next_step}"

    return refused


def test_all_that_is_wrong_is_told_at_once_with_its_value_and_what_was_expected(refused):
    said = refused(
        FitArgumentsError,
        learning_rate=-1.0,
        epochs=0,
        output_dim=-4,
        batch_size=0,
        num_items_per_class=0,
        sampler="klass",
    )
    for part in (
        "learning_rate is -1.0, expected greater than 0",
        "epochs is 0, expected greater than 0",
        "output_dim is -4, expected greater than or equal to 1",
        "batch_size is 0, expected greater than or equal to 2",
        "num_items_per_class is 0, expected greater than or equal to 1",
        "sampler is 'klass', expected 'auto', 'class' or 'random'",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast', expected a valid number"),
        ({"batch_size": 1.5}, "batch_size is 1.5"),
        ({"freeze": "yes"}, "freeze is 'yes', expected a valid boolean or a valid integer"),
        ({"freeze": -1}, "freeze is -1"),
        ({"measures": []}, "measures is ()"),
        ({"measures": ["mrrr@20"]}, "'mrrr@20' is no measure"),
        ({"callbacks": [EarlyStopping]}, "such as EarlyStopping()"),
        ({"callbacks": [EarlyStopping(patience=0)]}, "patience is 1 or more"),
        ({"callbacks": [WiSEFTCallback(alpha=2)]}, "alpha is above 0 and up to 1"),
        ({"callbacks": [EvaluationCallback(every=0)]}, "every is above 0"),
        ({"callbacks": [EvaluationCallback(monitor="gain")]}, "'gain' is no measure"),
        ({"optimizer_options": {"layer_wise_lr_decay": 2}}, "layer_wise_lr_decay is 2"),
        ({"scheduler_options": {"warmup_share": "x"}}, "warmup_share is 'x'"),
        ({"loss_optimizer_options": {"lr": -1}}, "loss_learning_rate is -1"),
        ({"csv_options": {"delim": ";"}}, "csv_options.delim is ';'"),
        ({"index_data": {"d": 7}}, "index_data.d is 7"),
        ({"budget_s": 0}, "budget_s is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"device": 5}, "device is 5"),
    ],
)
def test_a_wrong_argument_is_named_with_its_value(refused, wrong, said):
    assert said in refused(FitArgumentsError, **wrong).replace("[]", "()")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ({"loss": "TripletMarginLos"}, "did you mean TripletMarginLoss?"),
        ({"loss": "tripletmarginloss"}, "did you mean TripletMarginLoss?"),
        ({"loss": "MultipleNegativeRankingLoss"}, "did you mean MultipleNegativesRankingLoss?"),
        ({"loss": "guidet"}, "did you mean guided?"),
        (TRIPLETS | {"miner": "TripletMinerr"}, "did you mean TripletMarginMiner?"),
        (TRIPLETS | {"miner_options": {"type_of_triplets": "harder"}}, "did you mean hard?"),
        ({"optimizer": "Adamm"}, "did you mean Adam?"),
        ({"scheduler": "cosin"}, "did you mean cosine?"),
    ],
)
def test_a_name_that_is_not_known_is_answered_with_the_nearest(refused, wrong, meant):
    assert meant in refused(TrainerError, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": "TripletMarginLoss", "loss_options": {"margin": "big"}},
        TRIPLETS | {"miner_options": {"margin": "big"}},
    ],
)
def test_text_in_the_place_of_a_number_does_not_fail_in_the_first_batch(refused, wrong):
    assert "margin is 'big', expected something like 0." in refused(LossError, **wrong)


def test_a_wrapped_loss_goes_by_all_of_its_names(tiny_static, tmp_path):
    from desireline.trainer import fit

    for number, name in enumerate(("TripletMarginLoss", "MultipleNegativesRankingLoss")):
        options = {"dimensions": [16, 8], "loss": name}
        asked = {"loss": "MatryoshkaLoss", "loss_options": options, "epochs": 1, "threads": 1}
        run = fit(tiny_static, ROWS, out=tmp_path / str(number), **asked)
        assert run.losses


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        ([("q", "the same"), ("r", "the same")], {}, "at least two documents"),
        ([("q", "d")], {}, "names 1 document"),
        (
            [("q", "one"), ("r", "one")],
            {"csv_options": {"is_labeled": True}},
            "at least two texts for a label",
        ),
    ],
)
def test_what_leaves_nothing_to_tell_apart_says_what_to_give(refused, rows, more, said):
    if more:
        rows = [(f"text {number}", f"label {number}") for number in range(3)]
    assert said in refused(NothingToLearnError, rows=rows, **more)


def test_one_class_alone_has_nothing_to_be_told_from(refused):
    rows = [(f"text {number}", "one") for number in range(5)]
    said = refused(NothingToLearnError, rows=rows, csv_options={"is_labeled": True})
    assert "at least two labels" in said


@pytest.mark.parametrize("source", [None, 5, b"bytes", {"query": "a"}])
def test_what_gives_no_rows_is_no_training_data(refused, source):
    assert f"a {type(source).__name__} is no training data" in refused(
        TrainingDataError, rows=source
    )


def test_a_score_that_is_no_number_is_named_as_a_score(refused):
    said = refused(TrainingDataError, rows=[("a", "b", float("nan")), ("c", "d", 1.0)])
    assert "line 1: nan, expected 0 to 1 in score" in said


def test_a_cell_that_never_ends_is_told_by_the_line_where_it_begins(refused, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text('query,document\nred,shoe\nblue,"' + "garden " * 30_000)
    said = refused(TrainingDataError, rows=path)
    assert "from line 3 on" in said
    assert "quote that is never closed" in said


def test_half_a_surrogate_pair_trains(tiny_static, tmp_path):
    from desireline.trainer import fit

    rows = [("\ud83d red", "the shoe"), ("blue", "the garden \udc00", "42 \ud83d")[:2], *ROWS]
    assert fit(tiny_static, rows, out=tmp_path / "out", epochs=1, threads=1).losses


def test_an_out_that_cannot_be_written_is_told_before_training(refused, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert "Not a directory" in refused(TrainerError, out=file / "out")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    if not os.access(closed, os.W_OK):  # the superuser may write anywhere
        assert "Permission denied" in refused(TrainerError, out=closed / "deeper" / "out")


def test_an_out_that_exists_is_left_as_it_is(refused, tmp_path):
    (tmp_path / "out").mkdir()
    assert "name another out" in refused(TrainerError)


def test_the_settings_of_the_cli_are_looked_at_in_the_same_way(tiny_static, tmp_path):
    from desireline.trainer.fit_job import fit_files
    from desireline.trainer.jobs import FitFilesJob

    path = tmp_path / "rows.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    asked = {
        "model": str(tiny_static),
        "train_data": str(path),
        "out": str(tmp_path / "out"),
        "epochs": -1,
        "measures": ["mrr@0"],
    }
    with pytest.raises(FitArgumentsError, match=r"epochs is -1.*measures is .*'mrr@0' is no"):
        fit_files(FitFilesJob(arguments=asked), lambda *_: None)
