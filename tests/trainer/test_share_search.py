import itertools
import json

import numpy as np
import pytest

from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.pairs import Pair, PairSet, Passage, merge

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")
WORDS = ["red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer"]
DOCUMENTS = [Passage(word, f"the {word} of 42") for word in WORDS]


def tried(share, own, **general):
    from desireline.trainer.share_search import Tried

    return Tried(share=share, own=own, general=general)


def choose(*shares, tolerance=0.02):
    from desireline.trainer.share_search import choose_share

    base = tried(0.0, 0.5, a=0.7, b=0.6)
    return choose_share(shares, base, tolerance=tolerance)


def test_the_best_of_the_shares_that_forget_nothing_is_taken():
    chosen = choose(
        tried(1.0, 0.9, a=0.7, b=0.5), tried(0.8, 0.8, a=0.69, b=0.6), tried(0.4, 0.6, a=0.7, b=0.6)
    )
    assert chosen.share == 0.8
    assert chosen.sentence == (
        "80% of what was trained is kept: best on development queries (nDCG@10 0.500 -> 0.800) of"
        " 2 shares that forget no more than 0.020; 1 forget more"
    )


def test_of_equally_good_shares_the_one_nearest_to_the_base_is_taken():
    assert choose(tried(1.0, 0.8, a=0.7, b=0.6), tried(0.6, 0.8, a=0.7, b=0.6)).share == 0.6


def test_where_every_share_forgets_the_one_that_forgets_least_is_taken():
    chosen = choose(tried(1.0, 0.9, a=0.2, b=0.6), tried(0.4, 0.6, a=0.6, b=0.55))
    assert chosen.share == 0.4
    assert "every share forgets more than 0.020, this one least (0.100)" in chosen.sentence


def test_without_a_general_suite_the_own_one_decides():
    assert choose_without(tried(1.0, 0.7), tried(0.8, 0.9)).share == 0.8


def choose_without(*shares):
    from desireline.trainer.share_search import choose_share

    return choose_share(shares, tried(0.0, 0.5), tolerance=0.02)


def many_pairs():
    """Every row of three words asks for the document of the word after its first."""
    after = dict(zip(WORDS, DOCUMENTS[1:] + DOCUMENTS[:1], strict=True))
    rows = itertools.permutations([*WORDS, "cm", "in", "for", "of", "42"], 3)
    return merge(
        [
            Pair(anchor=" ".join(row), positive=after[row[0]], source="t")
            for row in rows
            if row[0] in after
        ],
        {},
    )


def test_anchors_kept_out_teach_nothing_and_are_the_same_each_night():
    from desireline.trainer.share_search import part_anchors

    pairs = many_pairs()
    teaching, development = part_anchors(pairs, seed=3)
    kept_out = {pair.anchor for pair in development.pairs}
    assert not kept_out & {pair.anchor for pair in teaching.pairs}
    assert len(teaching.pairs) + len(development.pairs) == len(pairs.pairs)
    assert 0.03 < len(kept_out) / len(pairs.pairs) < 0.08
    assert part_anchors(pairs, seed=3)[1].pairs == development.pairs
    few = PairSet(pairs=pairs.pairs[:200], related={})
    assert part_anchors(few, seed=3)[0].pairs == few.pairs
    assert part_anchors(few, seed=3)[1].pairs == ()


@pytest.fixture
def job(tmp_path, tiny_static):
    many_pairs().write(tmp_path / "pairs")
    lines = [
        *({"id": word, "text": f"{word} {word}"} for word in WORDS),
        *({"query": word, "relevant": [word]} for word in WORDS),
    ]
    suite = tmp_path / "suite.jsonl"
    suite.write_text("\n".join(map(json.dumps, lines)))
    return FitJob(
        base=tiny_static,
        pairs=tmp_path / "pairs",
        out=tmp_path / "out",
        registry=tmp_path / "registry",
        template=("title",),
        general=str(suite),
        provenance={"base_model": "tiny"},
        config=FitConfig(
            max_steps=30, epochs=100, learning_rate=0.5, batch_documents=8, precision="float32"
        ),
    )


def table(folder):
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer

    (weights,) = load_sentence_transformer(folder).state_dict().values()
    return weights.numpy()


def run(job, **config):
    from desireline.trainer.share_search import train_with_share

    return train_with_share(job.model_copy(update={"config": job.config.model_copy(update=config)}))


def test_what_is_kept_lies_between_base_and_tuned_and_says_why(job, tmp_path):
    tuned, sentence = run(job, tuned_shares=(0.5,))
    assert sentence.startswith("50% of what was trained is kept:")
    whole, nothing = run(job.model_copy(update={"out": tmp_path / "whole"}), tuned_shares=(1.0,))
    assert nothing.startswith("100% of what was trained is kept:")
    middle = (table(job.base) + table(whole.folder)) / 2
    np.testing.assert_allclose(table(tuned.folder), middle, atol=1e-6)
    assert not np.allclose(table(job.base), table(whole.folder), atol=0.05)


def test_without_shares_training_is_what_it_was(job):
    tuned, sentence = run(job, tuned_shares=())
    assert (sentence, tuned.folder) == ("", job.out)
