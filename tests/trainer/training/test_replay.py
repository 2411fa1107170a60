"""General texts keep their vectors while pairs teach."""

import numpy as np
import pytest

from desireline.trainer.errors import NothingToLearnError
from desireline.trainer.jobs import FitConfig
from desireline.trainer.pairs import Pair, Passage, merge
from desireline.trainer.query_text import normalise

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")
WORDS = ["red", "blue", "shoe", "running", "garden", "nurse"]
#: What users mean is not what the words say.
PAIRS = merge(
    [
        Pair(anchor=word, positive=Passage(word, f"the {after} of 42"), source="t")
        for word, after in zip(WORDS, WORDS[1:] + WORDS[:1], strict=True)
    ],
    {},
)
GENERAL = ["software engineer in 42", "a software for the engineer", "engineer of 42 cm", "a cm in"]


@pytest.fixture
def general(tmp_path):
    path = tmp_path / "general.txt"
    path.write_text("\n".join([*GENERAL, "", GENERAL[0]]), encoding="utf-8")
    return path


def tuned(base, out, **fit):
    from desireline.trainer.training.tuning import tune_pairs

    config = {
        "max_steps": 30,
        "epochs": 100,
        "learning_rate": 2e-3,
        "batch_documents": 6,
        "precision": "float32",
    }
    return tune_pairs(PAIRS, base, out, FitConfig.model_validate(config | fit))


def moved(before, after, texts) -> float:
    from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder

    old, new = (
        SentenceTransformerEncoder(each).encode_documents(texts) for each in (before, after)
    )
    return float(1 - (old * new).sum(axis=1).mean())


def test_what_is_replayed_stays_nearer_to_where_it_was(tiny_bert, tmp_path, general):
    plain = tuned(tiny_bert, tmp_path / "plain")
    kept = tuned(tiny_bert, tmp_path / "kept", replay=1.0, replay_texts=general, replay_weight=20.0)
    assert moved(tiny_bert, plain.folder, GENERAL) > 0.01
    assert moved(tiny_bert, kept.folder, GENERAL) < 0.5 * moved(tiny_bert, plain.folder, GENERAL)
    assert kept.last_loss < kept.first_loss


def test_replay_is_the_same_twice_and_off_unless_asked_for(tiny_bert, tmp_path, general):
    from safetensors.numpy import load_file

    def values(name, **fit):
        folder = tuned(tiny_bert, tmp_path / name, max_steps=3, **fit).folder
        return load_file(next(folder.rglob("*.safetensors")))

    replay = {"replay": 0.5, "replay_texts": general}
    one, two, without, off = (
        values("one", **replay),
        values("two", **replay),
        values("without"),
        values("off", replay=0),
    )
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert all(np.array_equal(without[name], off[name]) for name in one)
    assert any(not np.array_equal(one[name], without[name]) for name in one)


def test_a_killed_training_with_replay_goes_on_to_the_same_encoder(tiny_bert, tmp_path, general):
    import itertools

    from desireline.trainer.finetuning.checkpoints import Checkpoints
    from desireline.trainer.training.tuning import tune_pairs

    class Kill:
        def begin(self, training):
            pass

        def stepped(self, training):
            if len(training.losses) == 5:
                raise KeyboardInterrupt

        def end(self, training):
            pass

    def run(name, *watchers):
        config = FitConfig(
            max_steps=8, epochs=100, batch_documents=6, replay=0.5, replay_texts=general
        )
        return tune_pairs(PAIRS, tiny_bert, tmp_path / name, config, watchers=watchers)

    def checkpoints():
        ticks = itertools.count()
        return Checkpoints(
            folder=tmp_path / "kept", digest="one", clock=lambda: float(next(ticks)), every_s=2.0
        )

    whole = run("whole", checkpoints())
    checkpoints().remove()
    with pytest.raises(KeyboardInterrupt):
        run("cut", checkpoints(), Kill())
    assert run("cut", checkpoints()).losses == whole.losses


def test_low_rank_changes_are_held_by_replay_too(tiny_bert, tmp_path, general):
    from desireline.trainer.jobs import FitJob
    from desireline.trainer.modes.lora import train

    def run(name, **fit):
        PAIRS.write(tmp_path / "pairs")
        config = {"max_steps": 20, "epochs": 100, "batch_documents": 6, "mode": "lora"}
        job = FitJob(
            base=tiny_bert,
            pairs=tmp_path / "pairs",
            out=tmp_path / name,
            registry=tmp_path,
            template=("title",),
            config=FitConfig.model_validate(config | fit),
            provenance={"base_model": "tiny"},
        )
        return train(job).folder

    kept = run("kept", replay=1.0, replay_texts=general, replay_weight=20.0)
    assert moved(tiny_bert, kept, GENERAL) < 0.5 * moved(tiny_bert, run("plain"), GENERAL)


def test_texts_of_the_target_are_no_general_ones(tiny_bert, tmp_path):
    own = tmp_path / "own.txt"
    own.write_text("The  red of 42\nnurse\n", encoding="utf-8")
    with pytest.raises(NothingToLearnError, match="the target's own") as caught:
        tuned(tiny_bert, tmp_path / "out", replay=0.5, replay_texts=own)
    assert "fit.replay_texts" in caught.value.next_step


@pytest.mark.parametrize("content", [None, "\n \n"])
def test_a_file_without_texts_is_refused_in_words(content, tiny_bert, tmp_path):
    path = tmp_path / "none.txt"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(NothingToLearnError, match="replay texts in"):
        tuned(tiny_bert, tmp_path / "out", replay=0.5, replay_texts=path)
    assert not (tmp_path / "out").exists()


def test_what_ships_teaches_nothing_that_the_general_suite_asks():
    from desireline.trainer.general.suite import builtin_suite
    from desireline.trainer.training.replay import replay_texts

    judged = {
        normalise(text)
        for part in builtin_suite()
        for text in (*part.documents.values(), *part.qrels)
    }
    texts = replay_texts(None)
    assert len(texts) > 500
    assert not {normalise(text) for text in texts} & judged
