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


def batch_of(model, lessons, rows):
    passages = [lessons.passages[number].text for number in lessons.passages_of(rows)]
    anchors = [lessons.anchors[row] for row in rows]
    return [model.preprocess(texts) for texts in (anchors, passages)]


def gradients(model, loss, features, rows):
    model.zero_grad()
    value = loss(features, torch.tensor(rows))
    value.backward()
    return value.item(), {
        name: weight.grad.clone()
        for name, weight in model.named_parameters()
        if weight.grad is not None
    }


@pytest.mark.parametrize("inner", ["infonce", "metric_learning", "guided"])
@pytest.mark.parametrize("dropout", [False, True])
def test_a_cached_loss_has_the_gradient_of_the_whole_batch(tiny_bert, inner, dropout):
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
    from desireline.trainer.losses.vectors import make_loss

    words = ["red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer"]
    pairs = merge([Pair(anchor=w, positive=passage(f"{w} 42"), source="t") for w in words], {})
    lessons = Lessons.of(pairs, hard_negatives=0)
    model = load_sentence_transformer(tiny_bert).train(dropout)
    rows = list(range(len(words)))
    features = batch_of(model, lessons, rows)
    options = {"options": {"margin": 1.0}} if inner == "metric_learning" else {}
    settings = {"loss": inner, "settings": options, "chunk": 3 if not dropout else 100}
    found = []
    for loss in (
        make_loss(inner, model, lessons, options),
        make_loss("cached", model, lessons, settings),
    ):
        torch.manual_seed(1)
        found.append(gradients(model, loss, features, rows))
    (whole, plain), (chunked, cached) = found
    assert chunked == pytest.approx(whole, abs=1e-5)
    assert plain.keys() == cached.keys()
    assert any(gradient.abs().max() > 1e-3 for gradient in plain.values())
    for name in plain:
        np.testing.assert_allclose(cached[name], plain[name], atol=1e-5, err_msg=name)


def test_a_guide_spares_what_it_finds_nearer_than_the_positive(tiny_bert):
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
    from desireline.trainer.losses.rows import Rows
    from desireline.trainer.losses.vectors import make_loss

    pairs = merge(
        [
            Pair(anchor="red shoe", positive=Passage("a", "garden nurse"), source="t"),
            Pair(anchor="nurse", positive=Passage("b", "red shoe"), source="t"),
        ],
        {},
    )
    lessons = Lessons.of(pairs, hard_negatives=0)
    model = load_sentence_transformer(tiny_bert).eval()

    def lost(settings):
        loss = make_loss("guided", model, lessons, settings)
        rows = Rows.of(lessons, [0, 1], torch.device("cpu"))
        vectors = model.encode(["red shoe", "nurse"], convert_to_tensor=True)
        texts = [lessons.passages[number].text for number in rows.passages]
        return loss.of_vectors(vectors, model.encode(texts, convert_to_tensor=True), rows).item()

    assert lost({"margin": 0.0}) < lost({"margin": -3.0})
    assert lost({"guide": str(tiny_bert)}) == pytest.approx(lost({}), abs=1e-5)


def test_a_graded_pair_is_right_at_its_grade():
    from desireline.trainer.losses.infonce import weighted_infonce

    anchors = torch.tensor([[1.0, 0.0]])
    passages = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    scale = torch.tensor(2.0, requires_grad=True)

    def slope(score):
        loss = weighted_infonce(
            anchors,
            passages,
            target=torch.tensor([0]),
            weight=torch.ones(1),
            forbidden=torch.zeros((1, 2), dtype=torch.bool),
            scale=scale,
            score=torch.tensor([score]),
        )
        return torch.autograd.grad(loss, scale)[0].item()

    probability = torch.sigmoid(scale).item()
    assert slope(probability) == pytest.approx(0, abs=1e-6)
    assert slope(probability - 0.1) > 0 > slope(probability + 0.1)


def test_a_length_that_vectors_do_not_have_is_refused(tiny_bert):
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
    from desireline.trainer.errors import LossError
    from desireline.trainer.losses.vectors import make_loss

    pairs = merge([Pair(anchor=w, positive=passage(w), source="t") for w in "ab"], {})
    lessons = Lessons.of(pairs, hard_negatives=0)
    model = load_sentence_transformer(tiny_bert)
    with pytest.raises(LossError, match="64 numbers of vectors that have 32"):
        make_loss("matryoshka", model, lessons, {"dimensions": [64, 16]})
    with pytest.raises(LossError, match="2 dimensions and 1 weights"):
        make_loss("matryoshka", model, lessons, {"dimensions": [32, 16], "weights": [1.0]})


@pytest.mark.parametrize("name", ["cosent", "cosine"])
def test_what_learns_grades_refuses_pairs_without_them(name):
    from desireline.trainer.errors import LossError
    from desireline.trainer.losses.vectors import make_loss

    pairs = merge([Pair(anchor=w, positive=passage(w), source="t") for w in "ab"], {})
    with pytest.raises(LossError, match="all 2 pairs have the score 1"):
        make_loss(name, torch.nn.Identity(), Lessons.of(pairs, hard_negatives=0), {})


def test_without_related_documents_a_loss_is_the_library_s_own():
    from pytorch_metric_learning import losses, miners

    from desireline.trainer.losses.rows import Rows
    from desireline.trainer.losses.vectors import make_loss

    pairs = merge([Pair(anchor=w, positive=passage(w), source="t") for w in "abcdef"], {})
    lessons = Lessons.of(pairs, hard_negatives=0)
    random = np.random.default_rng(0)
    anchors, passages = (
        torch.tensor(random.normal(size=(6, 4)), dtype=torch.float32) for _ in range(2)
    )
    rows = Rows.of(lessons, list(range(6)), torch.device("cpu"))
    ours = make_loss(
        "metric_learning",
        torch.nn.Identity(),
        lessons,
        {
            "loss": "TripletMarginLoss",
            "options": {"margin": 0.3},
            "miner": "TripletMarginMiner",
            "miner_options": {"margin": 0.3, "type_of_triplets": "hard"},
        },
    )
    labels, of_passages = torch.arange(6), torch.arange(6)
    mined = miners.TripletMarginMiner(margin=0.3, type_of_triplets="hard")(
        anchors, labels, passages, of_passages
    )
    theirs = losses.TripletMarginLoss(margin=0.3)(
        anchors, labels, indices_tuple=mined, ref_emb=passages, ref_labels=of_passages
    )
    assert len(mined[0])
    assert ours.of_vectors(anchors, passages, rows).item() == pytest.approx(theirs.item(), rel=1e-5)
