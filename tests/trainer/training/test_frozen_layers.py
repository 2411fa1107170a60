import numpy as np
import pytest

from desireline.trainer.jobs import FitConfig
from desireline.trainer.lessons import Lessons
from desireline.trainer.pairs import Pair, Passage, merge

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")
ROWS = list(range(40))


@pytest.fixture
def model(tiny_bert):
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer

    return load_sentence_transformer(tiny_bert)


@pytest.fixture(scope="module")
def lessons():
    random = np.random.default_rng(0)
    words = ["red", "shoe", "nurse", "garden", "software"]
    texts = [" ".join(random.choice(words, random.integers(1, 12))) for _ in ROWS]
    pairs = [
        Pair(anchor=f"{text} {n % 7}", positive=Passage(f"d{n}", f"{text} {n}"), source="t")
        for n, text in enumerate(texts)
    ]
    return Lessons.of(merge(pairs, {}), hard_negatives=0)


def prepared(model, **more):
    from desireline.trainer.training.preparing import prepare_weights

    config = FitConfig(**({"frozen_layers": 1} | more))
    prepare_weights(model, config)
    return config


def learn(model, lessons, config):
    """Return the loss of a batch, and its gradients by name."""
    from desireline.trainer.losses.infonce import WeightedInfoNce
    from desireline.trainer.training.batch_loading import Collator

    batch = Collator(model, lessons, config)([{"label": row} for row in ROWS])
    features = [
        {key.removeprefix(part): value for key, value in batch.items() if key.startswith(part)}
        for part in ("query_", "document_")
    ]
    model.zero_grad()
    loss = WeightedInfoNce(model, lessons, {})(features, batch["label"])
    loss.backward()
    return loss.item(), {
        n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None
    }


def test_loss_and_gradients_are_those_of_all_layers_and_frozen_ones_are_computed_once(
    model, lessons
):
    from desireline.trainer.training.frozen_layers import frozen_layers_kept

    config = prepared(model)
    loss, gradients = learn(model, lessons, config)
    assert gradients
    with frozen_layers_kept(model, config) as kept:
        before = kept.computed
        for _ in range(3):
            again, found = learn(model, lessons, config)
            assert again == pytest.approx(loss, rel=1e-3)
            assert found.keys() == gradients.keys()
            largest = max(float(gradient.abs().max()) for gradient in gradients.values())
            for name, gradient in gradients.items():
                torch.testing.assert_close(
                    found[name], gradient, atol=5e-3 * largest, rtol=0, msg=name
                )
        distinct = len({*lessons.anchors, *(passage.text for passage in lessons.passages)})
        assert 0 < kept.computed - before <= distinct
    assert learn(model, lessons, config)[0] == pytest.approx(loss, rel=1e-6)


def test_an_encoder_whose_frozen_layers_are_kept_gives_the_vectors_of_before(model):
    from desireline.trainer.training.frozen_layers import frozen_layers_kept

    config = prepared(model)
    texts = ["red shoe", "nurse", "the garden of 42 software nurses", "red shoe"]
    before = model.encode(texts)
    with frozen_layers_kept(model, config):
        for _ in range(2):
            np.testing.assert_allclose(model.encode(texts), before, atol=2e-3)
    np.testing.assert_array_equal(model.encode(texts), before)


def test_what_does_not_fit_into_memory_is_computed_again(model, monkeypatch):
    from desireline.trainer.training import frozen_layers

    config = prepared(model)
    texts = ["red shoe", "nurse", "the garden of 42"]
    before = model.encode(texts)
    with frozen_layers.frozen_layers_kept(model, config) as kept:
        kept._texts.clear()
        kept._room = 32 * 2 * 5  # five tokens of 32 numbers, two bytes each
        for _ in range(2):
            np.testing.assert_allclose(model.encode(texts), before, atol=2e-3)
        assert len(kept._texts) == 1
        assert kept._room >= 0


@pytest.mark.parametrize("more", [{"frozen_layers": 0}, {"dropout": True}, {"frozen_cache_mb": 0}])
def test_nothing_is_kept_where_nothing_is_frozen_or_dropout_draws_anew(model, more):
    from desireline.trainer.training.frozen_layers import frozen_layers_kept

    config = prepared(model, **more)
    with frozen_layers_kept(model, config) as kept:
        assert kept is None


def test_a_table_of_word_vectors_has_no_layers_to_keep(tiny_static):
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
    from desireline.trainer.training.frozen_layers import frozen_layers_kept

    table = load_sentence_transformer(tiny_static)
    with frozen_layers_kept(table, prepared(table)) as kept:
        assert kept is None


def test_an_encoder_that_cannot_be_parted_is_computed_whole(model, lessons):
    """Its second layer looks at the words themselves, which it is not given any more."""
    from desireline.trainer.training.frozen_layers import frozen_layers_kept

    config = prepared(model)
    inner = model[0].model
    plain = inner.embeddings.forward
    seen = []

    def noted(**features):
        seen.append(features["input_ids"])
        return plain(**features)

    def looking(_, arguments):
        return (arguments[0] + seen.pop().float()[..., None] / 100, *arguments[1:])

    inner.embeddings.forward = noted
    inner.encoder.layer[1].register_forward_pre_hook(looking)
    before = model.encode(["red shoe", "nurse"])
    with frozen_layers_kept(model, config):
        np.testing.assert_allclose(model.encode(["red shoe", "nurse"]), before, atol=1e-6)
