"""Texts alone teach: rebuilt, told apart, or guessed; then pairs may follow."""

import itertools
import random

import numpy as np
import pytest

from desireline.trainer.errors import NothingToLearnError, TrainerError
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.pairs import Pair, Passage, merge

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")
WORDS = ("red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer", "42", "cm")
OBJECTIVES = ("tsdae", "simcse", "mlm")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    drawn = random.Random(3)
    return sorted({" ".join(drawn.sample(WORDS, 5)) for _ in range(60)})


def config_of(objective, *, fit=None, **settings) -> FitConfig:
    reading = {"objective": objective, "batch_texts": 16, "learning_rate": 1e-3, **settings}
    return FitConfig.model_validate(
        {"precision": "float32", "self_supervised": reading, **(fit or {})}
    )


def read(texts, base, out, config, **more):
    from desireline.trainer.self_supervised.reading import learn_from_texts

    return learn_from_texts(texts, base, out, config, **more)


def weights(folder):
    from safetensors.numpy import load_file

    files = [path.relative_to(folder) for path in sorted(folder.rglob("*.safetensors"))]
    return {
        f"{path}/{key}": each for path in files for key, each in load_file(folder / path).items()
    }


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_reading_changes_layers_and_leaves_word_vectors_and_shape(
    objective, texts, tiny_bert, tmp_path
):
    told = []
    read_ = read(
        texts,
        tiny_bert,
        tmp_path / "out",
        config_of(objective, epochs=2),
        progress=lambda done, total, loss: told.append((done, total, loss)),
    )
    before, after = weights(tiny_bert), weights(read_.folder)
    assert after.keys() == before.keys(), "what was thrown away is still there"
    changed = {name for name in after if not np.array_equal(before[name], after[name])}
    assert any("layer" in name for name in changed)
    assert not any("embeddings" in name for name in changed)
    assert [each[:2] for each in told] == [(n, read_.steps) for n in range(1, read_.steps + 1)]
    assert tuple(each[2] for each in told) == read_.losses


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_same_seed_reads_to_the_same_encoder_and_another_does_not(
    objective, texts, tiny_bert, tmp_path
):
    one, two, other = (
        weights(
            read(texts, tiny_bert, tmp_path / name, config_of(objective, fit={"seed": seed})).folder
        )
        for name, seed in (("one", 5), ("two", 5), ("other", 6))
    )
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_is_asked_is_learned(objective, texts, tiny_bert, tmp_path):
    config = config_of(objective, epochs=12, head_start=0.1)
    skewed = [f"{text} 42 42 42 42 42" for text in texts]
    losses = read(skewed, tiny_bert, tmp_path / "out", config).losses
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


def test_in_its_head_start_a_decoder_learns_alone(texts, tiny_bert, tmp_path):
    seen = []

    class Look:
        def begin(self, training):
            pass

        def stepped(self, training):
            state = training.model.state_dict()
            seen.append({name: each.clone() for name, each in state.items()})

        def end(self, training):
            pass

    config = config_of("tsdae", epochs=2.5, head_start=0.5, fit={"weight_decay": 0.0})
    tuned = read(texts, tiny_bert, tmp_path / "out", config, watchers=[Look()])
    moved = [
        any(not torch.equal(a[name], b[name]) for name in a) for a, b in itertools.pairwise(seen)
    ]
    alone = round(0.5 * tuned.steps)
    assert not any(moved[: alone - 1])
    assert all(moved[alone - 1 :])


def test_a_killed_reading_goes_on_to_the_same_encoder(texts, tiny_bert, tmp_path):
    from desireline.trainer.finetuning.checkpoints import Checkpoints

    class Kill:
        def begin(self, training):
            pass

        def stepped(self, training):
            if len(training.losses) == 4:
                raise KeyboardInterrupt

        def end(self, training):
            pass

    def checkpoints():
        ticks = itertools.count()
        return Checkpoints(
            folder=tmp_path / "kept", digest="one", clock=lambda: float(next(ticks)), every_s=2.0
        )

    config = config_of("tsdae", epochs=3)
    whole = read(texts, tiny_bert, tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt):
        read(texts, tiny_bert, tmp_path / "cut", config, watchers=[checkpoints(), Kill()])
    assert not (tmp_path / "cut").exists()
    resumed = read(texts, tiny_bert, tmp_path / "cut", config, watchers=[checkpoints()])
    assert resumed.losses == whole.losses
    one, two = weights(whole.folder), weights(resumed.folder)
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_a_spent_budget_ends_reading_in_good_order(texts, tiny_bert, tmp_path):
    ticks = itertools.count()
    config = config_of("mlm", epochs=50, fit={"budget_s": 5.0})
    tuned = read(texts, tiny_bert, tmp_path / "out", config, clock=lambda: float(next(ticks)))
    assert tuned.ended == "budget spent"
    assert 0 < tuned.steps < tuned.planned_steps
    assert tuned.folder.exists()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_table_of_word_vectors_has_no_layers_to_teach(objective, texts, tiny_static, tmp_path):
    with pytest.raises(TrainerError, match=f"{objective} teaches the layers") as caught:
        read(texts, tiny_static, tmp_path / "out", config_of(objective))
    assert "fit.self_supervised" in caught.value.next_step
    assert not (tmp_path / "out").exists()


def test_one_text_teaches_nothing(tiny_bert, tmp_path):
    with pytest.raises(NothingToLearnError, match="1 texts"):
        read(["red shoe", "red shoe", " "], tiny_bert, tmp_path / "out", config_of("simcse"))


def test_words_are_left_out_by_chance_and_one_stays():
    from desireline.trainer.self_supervised.tsdae import shortened

    torch.manual_seed(0)
    text = " ".join(f"w{number}" for number in range(1_000))
    left = shortened(text, 0.6).split()
    assert 350 < len(left) < 450
    assert left == sorted(left, key=lambda word: int(word[1:]))
    assert {shortened("one two", 0.99) for _ in range(20)} <= {"one", "two", "one two"}
    assert shortened("", 0.5) == ""


def job_of(base, tmp_path, config, **more) -> FitJob:
    pairs = [
        Pair(anchor=word, positive=Passage(word, f"the {word} of 42"), source="t")
        for word in WORDS[:8]
    ]
    merge(pairs, {}).write(tmp_path / "pairs")
    return FitJob(
        base=base,
        pairs=tmp_path / "pairs",
        out=tmp_path / "out",
        registry=tmp_path / "registry",
        template=("title",),
        config=config,
        provenance={"base_model": "tiny"},
        **more,
    )


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_texts_teach_before_the_pairs_of_a_mode(mode, texts, tiny_bert, tmp_path):
    from desireline.trainer.modes.chosen import train
    from desireline.trainer.self_supervised_config import write_texts

    write_texts(texts, tmp_path / "texts.parquet")
    fit = {"mode": mode, "max_steps": 3, "seed": 1}
    job = job_of(
        tiny_bert, tmp_path, config_of("simcse", fit=fit), texts=tmp_path / "texts.parquet"
    )
    steps = []
    tuned = train(job, lambda done, total, loss: steps.append((done, total)))
    assert tuned.sentence.startswith("simcse 4 steps")
    assert "then pairs: 3 steps" in tuned.sentence
    assert steps == [*((n, 4) for n in range(1, 5)), *((n, 3) for n in range(1, 4))]
    alone = read(texts, tiny_bert, tmp_path / "alone", config_of("simcse", fit=fit))
    plain = train(
        job.model_copy(
            update={
                "base": alone.folder,
                "out": tmp_path / "plain",
                "config": job.config.model_copy(update={"self_supervised": None}),
            }
        )
    )
    one, two = weights(tuned.folder), weights(plain.folder)
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_without_texts_the_passages_of_the_pairs_are_read(tiny_bert, tmp_path):
    from desireline.trainer.modes.chosen import train

    fit = {"max_steps": 1}
    tuned = train(job_of(tiny_bert, tmp_path, config_of("mlm", batch_texts=4, fit=fit)))
    assert tuned.sentence.startswith("mlm 2 steps")


def test_texts_that_cannot_be_read_are_told(tiny_bert, tmp_path):
    from desireline.trainer.modes.chosen import train

    job = job_of(tiny_bert, tmp_path, config_of("mlm"), texts=tmp_path / "none.parquet")
    with pytest.raises(NothingToLearnError, match="cannot be read"):
        train(job)


def test_only_modes_that_train_the_base_read_first():
    reading = {"objective": "mlm"}
    modes = {
        mode: FitConfig(mode=mode, self_supervised=reading).reads_texts
        for mode in ("adapter", "query", "lora", "full")
    }
    assert modes == {"adapter": False, "query": False, "lora": True, "full": True}
    assert not FitConfig(mode="full").reads_texts
