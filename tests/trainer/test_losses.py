import math

import numpy as np
import pytest

from desireline.trainer.lessons import Lessons
from desireline.trainer.pairs import Pair, Passage, merge

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")


def slowly(anchors, passages, *, target, weight, forbidden, scale):
    """The definition, one number at a time, in double precision."""

    def cosine(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    total = weights = 0.0
    for i, anchor in enumerate(anchors):
        right, everything = 0.0, 0.0
        for j, passage in enumerate(passages):
            if forbidden[i][j]:
                continue
            score = math.exp(scale * cosine(anchor, passage))
            everything += score
            right = score if j == target[i] else right
        total += weight[i] * -math.log(right / everything)
        weights += weight[i]
    return total / weights


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_the_loss_equals_its_definition(seed, scale):
    from desireline.trainer.losses.infonce import weighted_infonce

    random = np.random.default_rng(seed)
    anchors, passages = random.normal(size=(7, 4)), random.normal(size=(5, 4))
    target, weight = random.integers(0, 5, 7), random.uniform(0.1, 3, 7)
    forbidden = random.random((7, 5)) < 0.3
    forbidden[np.arange(7), target] = False
    loss = weighted_infonce(
        torch.tensor(anchors),
        torch.tensor(passages),
        target=torch.tensor(target),
        weight=torch.tensor(weight),
        forbidden=torch.tensor(forbidden),
        scale=scale,
    )
    assert loss.item() == pytest.approx(
        slowly(
            anchors,
            passages,
            target=target,
            weight=weight,
            forbidden=forbidden,
            scale=scale,
        ),
        rel=1e-9,
    )


class Table(torch.nn.Module):
    """A model that looks a text's vector up; its features are numbers."""

    def __init__(self, vectors):
        super().__init__()
        self.vectors = torch.nn.Parameter(torch.tensor(vectors))

    def forward(self, features):
        return {"sentence_embedding": self.vectors[features["input_ids"]]}


def passage(name):
    return Passage(name, f"text {name}")


def test_a_batch_teaches_against_its_passages_but_for_what_may_be_right():
    from desireline.trainer.losses.infonce import WeightedInfoNce

    pairs = merge(
        [
            Pair(anchor="q", positive=passage("a"), negatives=(passage("n"),), source="t"),
            Pair(anchor="q", positive=passage("b"), weight=0.5, source="t"),
            Pair(anchor="r", positive=passage("a"), weight=2.0, source="t"),
            Pair(anchor="s", positive=Passage("a", "other part"), source="t"),
        ],
        {"q": frozenset("ab"), "r": frozenset("ac")},
    )
    lessons = Lessons.of(pairs, hard_negatives=1)
    rows = [2, 0, 3, 1]
    numbers = lessons.passages_of(rows)
    names = [(lessons.passages[n].document_id, lessons.passages[n].text) for n in numbers]
    a, b, part, n = (
        names.index(each)
        for each in [("a", "text a"), ("b", "text b"), ("a", "other part"), ("n", "text n")]
    )
    random = np.random.default_rng(0)
    vectors = random.normal(size=(8, 3)).astype(np.float32)
    loss = WeightedInfoNce(Table(vectors), lessons, {"scale": 5.0})(
        [{"input_ids": torch.tensor([0, 1, 2, 3])}, {"input_ids": torch.tensor([4, 5, 6, 7])}],
        torch.tensor(rows),
    )
    forbidden = np.zeros((4, 4), dtype=bool)
    forbidden[0, part] = True  # r: the same document
    forbidden[1, [b, part]] = True  # q wanted b too
    forbidden[2, a] = True
    forbidden[3, [a, part]] = True
    assert not forbidden[:, n].any()
    expected = slowly(
        vectors[:4],
        vectors[4:],
        target=[a, a, part, b],
        weight=[2.0, 1.0, 1.0, 0.5],
        forbidden=forbidden,
        scale=5.0,
    )
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()


def test_an_unknown_setting_of_the_loss_is_refused():
    from pydantic import ValidationError

    from desireline.trainer.losses.infonce import WeightedInfoNce

    with pytest.raises(ValidationError, match="margin"):
        WeightedInfoNce(torch.nn.Identity(), None, {"margin": 1})


def test_cutting_padding_off_changes_no_embedding(tiny_bert):
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
    from desireline.trainer.losses.embedding import embed

    model = load_sentence_transformer(tiny_bert).eval()
    random = np.random.default_rng(0)
    texts = [" ".join(["red shoe nurse garden"] * int(random.integers(1, 9))) for _ in range(50)]
    features = model.preprocess(texts)
    with torch.no_grad():
        whole = model(dict(features))["sentence_embedding"]
        parts = embed(model, features)
    np.testing.assert_allclose(parts.numpy(), whole.numpy(), atol=1e-5)
