"""Every loss counts rows by their weights and pushes nothing that may be right."""

import numpy as np
import pytest

from desireline.trainer.errors import LossError
from desireline.trainer.lessons import Lessons
from desireline.trainer.pairs import Pair, PairSet, Passage

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")
pml = pytest.importorskip("pytorch_metric_learning", reason="needs desireline[trainer]")

from desireline.connectors import plugins  # noqa: E402
from desireline.trainer.losses.in_batch import MINERS  # noqa: E402
from desireline.trainer.losses.metric_learning import OF_CLASSES, OF_PAIRS  # noqa: E402
from desireline.trainer.losses.vectors import make_loss  # noqa: E402

DIMENSION = 8
TEXTS = [*"qrstuv", *(f"the {name}" for name in "abcdefgn")]
OURS = [
    ("infonce", {}),
    ("guided", {"margin": -3.0}),
    ("margin_mse", {}),
    ("cosent", {"scale": 3.0}),
    ("cosine", {}),
    ("cached", {"chunk": 2}),
    ("matryoshka", {"dimensions": [8, 4]}),
    (
        "matryoshka",
        {
            "dimensions": [8, 4],
            "loss": "metric_learning",
            "settings": {"options": {"margin": 4.0}},
        },
    ),
]
#: Wide, so that no pair is far enough apart to teach nothing.
WIDE = {
    "ContrastiveLoss": {"neg_margin": 4.0},
    "MarginLoss": {"margin": 4.0},
    "SignalToNoiseRatioContrastiveLoss": {"neg_margin": 9.0},
    "TripletMarginLoss": {"margin": 4.0},
}
MINER_OPTIONS = {
    "BatchEasyHardMiner": {"neg_strategy": "hard"},
    "PairMarginMiner": {"pos_margin": 0.0, "neg_margin": 4.0},
    "TripletMarginMiner": {"margin": 4.0},
}
THEIRS = [
    ("metric_learning", {"loss": name, "options": WIDE.get(name, {})})
    for name in (*OF_PAIRS, *OF_CLASSES)
]
#: These look at the batch as a whole or draw at random: a row more changes what they choose.
OF_THE_WHOLE_BATCH = {"HDCMiner", "UniformHistogramMiner", "DistanceWeightedMiner"}
MINED = [
    (
        "metric_learning",
        {
            "loss": loss,
            "options": WIDE[loss],
            "miner": miner,
            "miner_options": MINER_OPTIONS.get(miner, {}),
        },
    )
    for miner in MINERS
    for loss in ("TripletMarginLoss", "ContrastiveLoss")
]


def named(case) -> str:
    name, settings = case
    parts = (name, settings.get("loss", ""), settings.get("miner", ""))
    return "-".join(part for part in parts if part)


class Texts(torch.nn.Module):
    """An encoder that looks the vector of a text up."""

    def __init__(self) -> None:
        super().__init__()
        drawn = np.random.default_rng(3).normal(size=(len(TEXTS), DIMENSION))
        near = [TEXTS.index(text) for text in ("the a", "the b", "the n")]
        drawn[TEXTS.index("q")] = drawn[near].sum(axis=0) + 0.3 * drawn[TEXTS.index("q")]
        self.vectors = torch.nn.Parameter(torch.tensor(drawn, dtype=torch.float32))

    def forward(self, features):
        return {"sentence_embedding": self.vectors[features["input_ids"]]}

    def get_embedding_dimension(self) -> int:
        return DIMENSION

    def encode_query(self, texts, **more):
        rows = self.vectors[[TEXTS.index(text) for text in texts]]
        return torch.nn.functional.normalize(rows).detach().numpy()

    encode_document = encode_query


def passage(name) -> Passage:
    return Passage(name, f"the {name}")


def row(anchor, positive, *, weight=1.0, score=1.0) -> Pair:
    return Pair(
        anchor=anchor,
        positive=passage(positive),
        negatives=(passage("n"),),
        margins=(0.7,),
        weight=weight,
        score=score,
        source="t",
    )


OTHERS = [row("r", "b", score=0.4), row("s", "c", weight=0.5), row("t", "d", score=0.1)]


def learned(case, pairs, related=None):
    """The loss of all rows in one batch, the gradient of each text, and the loss itself."""
    name, settings = case
    lessons = Lessons.of(PairSet(pairs=tuple(pairs), related=related or {}), hard_negatives=1)
    model = Texts()
    torch.manual_seed(5)
    loss = make_loss(name, model, lessons, settings)
    numbers = list(range(len(pairs)))
    passages = [lessons.passages[number].text for number in lessons.passages_of(numbers)]
    features = [
        {"input_ids": torch.tensor([TEXTS.index(text) for text in texts])}
        for texts in (lessons.anchors, passages)
    ]
    value = loss(features, torch.tensor(numbers))
    value.backward()
    return value.item(), model.vectors.grad.numpy(), loss


def same(one, two) -> None:
    assert one[0] == pytest.approx(two[0], rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(one[1], two[1], rtol=1e-3, atol=1e-5)


by_rows = [
    case for case in [*OURS, *THEIRS, *MINED] if case[1].get("miner") not in OF_THE_WHOLE_BATCH
]


@pytest.mark.parametrize("case", by_rows, ids=named)
def test_a_row_without_weight_changes_nothing(case):
    rows = [row("q", "a"), *OTHERS]
    same(learned(case, rows), learned(case, [*rows, row("u", "b", weight=0.0)]))


@pytest.mark.parametrize("case", by_rows, ids=named)
def test_a_row_of_double_weight_is_a_row_that_stands_there_twice(case):
    twice = learned(case, [row("q", "a"), row("q", "a"), *OTHERS])
    same(learned(case, [row("q", "a", weight=2.0), *OTHERS]), twice)


@pytest.mark.parametrize("case", by_rows, ids=named)
def test_weights_are_heard(case):
    plain = learned(case, [row("q", "a"), *OTHERS])
    heavy = learned(case, [row("q", "a", weight=9.0), *OTHERS])
    assert not np.allclose(plain[1], heavy[1], atol=1e-7)


@pytest.mark.parametrize("case", [*OURS, *THEIRS, *MINED], ids=named)
def test_a_related_document_is_not_pushed_away(case):
    rows = [row("q", "a"), *(row(p.anchor, p.positive.document_id, weight=0.0) for p in OTHERS)]
    if case[0] in {"cosent", "cosine"}:
        rows[0] = row("q", "a", score=0.9)
    _, gradient, loss = learned(case, rows, {"q": frozenset("ab")})
    assert not gradient[TEXTS.index("the b")].any()
    weights = getattr(getattr(loss, "criterion", None), "W", None)
    if weights is not None:
        centres = weights.grad.reshape(DIMENSION, 5, -1)
        assert not centres[:, 1].any()
        assert centres[:, 2].any()


PUSHING = [case for case in by_rows if case[0] not in {"margin_mse", "cosent", "cosine"}]


@pytest.mark.parametrize("case", PUSHING[:6], ids=named)
def test_a_document_that_is_not_related_is_pushed_away(case):
    rows = [row("q", "a"), *(row(p.anchor, p.positive.document_id, weight=0.0) for p in OTHERS)]
    _, gradient, _ = learned(case, rows)
    assert gradient[TEXTS.index("the b")].any()


WITHOUT_CLASSES = [case for case in [*OURS, *THEIRS] if case[1].get("loss") not in OF_CLASSES]


@pytest.mark.parametrize("case", WITHOUT_CLASSES, ids=named)
def test_a_document_of_the_same_text_is_not_pushed_away(case):
    twin = Pair(
        anchor="r",
        positive=Passage("b", "the a"),
        negatives=(passage("n"),),
        margins=(0.7,),
        weight=1e-30,
        score=0.5,
        source="t",
    )
    other = row("r", "n", weight=1e-30, score=0.5)
    same(learned(case, [row("q", "a"), twin]), learned(case, [row("q", "a"), other]))


@pytest.mark.parametrize("name", plugins.names("losses"))
def test_every_installed_loss_is_under_this_contract(name):
    assert name in {case[0] for case in [*OURS, *THEIRS]}


@pytest.mark.parametrize("name", plugins.names("losses"))
def test_a_wrong_setting_is_named(name):
    lessons = Lessons.of(PairSet(pairs=(row("q", "a"), *OTHERS), related={}), hard_negatives=1)
    with pytest.raises(LossError, match="marginn"):
        make_loss(name, Texts(), lessons, {"marginn": 1})


@pytest.mark.parametrize("name", ["VICRegLoss", "HistogramLoss", "TripletLoss", "os"])
def test_a_loss_that_cannot_keep_the_contract_is_refused_by_name(name):
    lessons = Lessons.of(PairSet(pairs=tuple(OTHERS), related={}), hard_negatives=1)
    with pytest.raises(LossError, match=name):
        make_loss("metric_learning", Texts(), lessons, {"loss": name})
