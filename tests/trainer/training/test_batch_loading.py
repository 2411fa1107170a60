import numpy as np
import pytest

from desireline.trainer.jobs import FitConfig
from desireline.trainer.lessons import Lessons
from desireline.trainer.pairs import Pair, Passage, merge

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")
WORDS = ["red", "blue shoe", "running", "garden nurse software", "nurse", "", "42"]


def load(folder):
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer

    return load_sentence_transformer(folder)


@pytest.fixture(params=["tiny_bert", "tiny_static"])
def model(request):
    return load(request.getfixturevalue(request.param))


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert found[name].dtype == value.dtype
            np.testing.assert_array_equal(found[name].numpy(), value.numpy(), err_msg=name)
        else:
            assert found[name] == value


@pytest.mark.parametrize("prompt", ["", "red: "])
def test_known_texts_have_the_features_that_the_model_gives(model, prompt):
    from desireline.trainer.training.batch_loading import KnownTokens, tokenise

    model.prompts = {"query": prompt}
    known = KnownTokens(model, WORDS, task="query", most=6)
    for numbers in ([0, 3], [3, 1, 0], [5], [2, 2, 4], [6, 5, 4, 3, 2, 1, 0], [0, 3]):
        texts = [WORDS[number] for number in numbers]
        assert_equal(known.of(numbers), tokenise(model, texts, task="query", most=6))


def test_a_text_is_tokenised_once(model, monkeypatch):
    from desireline.trainer.training.batch_loading import KnownTokens

    known = KnownTokens(model, WORDS, task="query", most=6)
    first = known.of([0, 1, 2])
    monkeypatch.setattr(type(model), "preprocess", None)
    assert_equal(known.of([0, 1, 2]), first)


def test_texts_beyond_the_room_are_tokenised_anew(model, monkeypatch):
    from desireline.trainer.training import batch_loading

    monkeypatch.setattr(batch_loading, "_MOST_KEPT", 2)
    known = batch_loading.KnownTokens(model, WORDS, task="query", most=6)
    for numbers in ([0, 1, 2, 3], [3, 0], [1, 0]):
        texts = [WORDS[number] for number in numbers]
        expected = batch_loading.tokenise(model, texts, task="query", most=6)
        assert_equal(known.of(numbers), expected)


def test_features_of_another_form_are_made_anew(model, monkeypatch):
    from desireline.trainer.training import batch_loading

    made = {"pixels": torch.zeros(2, 3), "attention_mask": torch.ones(2, 4)}
    monkeypatch.setattr(batch_loading, "tokenise", lambda *_, **__: made)
    known = batch_loading.KnownTokens(model, WORDS, task="query", most=6)
    assert known.of([0, 1]) is made
    assert known.of([1, 0]) is made


def test_the_same_batch_has_the_loss_and_gradients_of_the_plain_way(tiny_bert):
    """Cached tokens and cut padding, against all texts at once, tokenised for the batch."""
    from desireline.trainer.losses.infonce import WeightedInfoNce, weighted_infonce
    from desireline.trainer.training.batch_loading import Collator, tokenise

    random = np.random.default_rng(0)
    words = ["red", "shoe", "nurse", "garden", "software"]
    texts = [" ".join(random.choice(words, random.integers(1, 12))) for _ in range(40)]
    pairs = [
        Pair(anchor=f"{text} {n % 7}", positive=Passage(f"d{n}", f"{text} {n}"), source="t")
        for n, text in enumerate(texts)
    ]
    lessons = Lessons.of(merge(pairs, {}), hard_negatives=0)
    config = FitConfig(query_tokens=16, document_tokens=16)
    rows = random.permutation(40).tolist()

    def plainly(model):
        numbers = lessons.passages_of(rows)
        anchors = tokenise(model, [lessons.anchors[r] for r in rows], task="query", most=16)
        bodies = [lessons.passages[n].text for n in numbers]
        passages = tokenise(model, bodies, task="document", most=16)
        return weighted_infonce(
            model(dict(anchors))["sentence_embedding"],
            model(dict(passages))["sentence_embedding"],
            target=torch.from_numpy(np.searchsorted(numbers, lessons.positive[rows])),
            weight=torch.ones(40),
            forbidden=torch.from_numpy(lessons.forbidden(rows, numbers)),
            scale=20.0,
        )

    def ours(model):
        collate = Collator(model, lessons, config)
        collate([{"label": row} for row in reversed(rows)])  # known from another batch
        batch = collate([{"label": row} for row in rows])
        features = [
            {key.removeprefix(part): value for key, value in batch.items() if key.startswith(part)}
            for part in ("query_", "document_")
        ]
        return WeightedInfoNce(model, lessons, {})(features, batch["label"])

    losses, gradients = [], []
    for way in (plainly, ours):
        model = load(tiny_bert).eval()
        loss = way(model)
        loss.backward()
        losses.append(loss.item())
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert gradients[0].keys() == gradients[1].keys()
    assert len(gradients[0]) > 10
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-5, rtol=1e-3, msg=name)
