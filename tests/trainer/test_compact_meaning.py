"""What the category of a query teaches a compact encoder, row by row."""

import pytest

from desireline.trainer.documents.catalogue import Catalogue
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.pairs import Pair, PairSet, Passage

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")
KINDS = {"s1": ("shoes",), "t1": ("tea",), "b1": ("books", "tea")}


def pair(anchor: str, document: str, weight: float = 1.0, source: str = "clicked") -> Pair:
    return Pair(anchor=anchor, positive=Passage(document, document), weight=weight, source=source)


def loss_of(*pairs: Pair):
    """The loss of all rows for vectors that are drawn, and what pulls on each vector."""
    from desireline.trainer.compact.meaning import CategoryLoss, Meant
    from desireline.trainer.lessons import Lessons
    from desireline.trainer.losses.rows import Rows

    meant = Meant.of(pairs, KINDS)
    lessons = Lessons.of(PairSet(pairs=pairs, related={}), hard_negatives=0)
    module = CategoryLoss(4, meant, lessons.anchors)
    torch.manual_seed(0)
    torch.nn.init.normal_(module.head.weight)
    anchors = torch.stack([torch.tensor([1.0, n, -n, 0.5]) for n in range(len(pairs))])
    anchors.requires_grad_()
    rows = Rows.of(lessons, list(range(len(pairs))), anchors.device)
    loss = module(anchors, rows)
    loss.backward()
    return loss.item(), anchors.grad.norm(dim=1)


def test_a_query_without_a_category_teaches_nothing_and_the_others_as_much_as_before() -> None:
    asked = pair("boots", "s1"), pair("brew", "t1")
    alone, pulls = loss_of(*asked)
    beside, more = loss_of(*asked, pair("what", "nowhere"), pair("crop", "s1", source="crops"))
    assert beside == pytest.approx(alone)
    torch.testing.assert_close(more[:2], pulls)
    assert more[2:].tolist() == [0.0, 0.0]


def test_a_doubtful_pair_pulls_less() -> None:
    _, even = loss_of(pair("boots", "s1"), pair("brew", "t1"))
    _, doubtful = loss_of(pair("boots", "s1"), pair("brew", "t1", weight=0.1))
    assert doubtful[1] < 0.5 * even[1]
    assert doubtful[0] > even[0]


def test_several_categories_are_soft_targets() -> None:
    from desireline.trainer.compact.meaning import Meant

    meant = Meant.of([pair("brew", "t1", 3.0), pair("brew", "b1", 2.0), pair("boots", "s1")], KINDS)
    assert meant.lessons.categories == ("books", "shoes", "tea")
    assert meant.lessons.of_queries[1].tolist() == pytest.approx([0.2, 0.0, 0.8])


def test_nothing_is_meant_where_all_documents_are_of_one_category() -> None:
    from desireline.trainer.compact.meaning import Meant

    assert Meant.of([pair("boots", "s1")], {"s1": ("shoes",), "s2": ("shoes",)}) is None
    assert Meant.of([pair("boots", "s1", source="crops")], KINDS) is None


def test_categories_come_back_from_the_file_with_their_documents(tmp_path) -> None:
    documents = {name: DocumentText(parts=(name,)) for name in ("s1", "b1", "x")}
    Catalogue(documents=documents, categories={"b1": KINDS["b1"], "s1": KINDS["s1"]}).write(
        tmp_path / "catalogue"
    )
    found = Catalogue.read(tmp_path / "catalogue")
    assert found.documents == documents
    assert found.categories == {"s1": ("shoes",), "b1": ("books", "tea")}
