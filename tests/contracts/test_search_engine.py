"""What every search engine must do with an index: read, write slots, follow changes, search."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from desireline.connectors.documents import Document, Outcome
from desireline.connectors.errors import (
    ConnectorError,
    FieldMissingError,
    IndexMissingError,
    MappingConflictError,
)
from desireline.connectors.search_engine import Coverage, Fence, Read, Slot, Within

# Reading.


def test_a_scan_returns_each_document_once_with_its_version(shop: Any) -> None:
    shop.put(**{f"d{number}": f"title {number}" for number in range(25)})
    small = dataclasses.replace(shop.all, batch_size=4)
    batches = list(shop.engine.scan(shop.index, small))
    documents = [document for batch in batches for document in batch]
    assert all(0 < len(batch) <= 4 for batch in batches)
    assert sorted(d.document_id for d in documents) == sorted(f"d{n}" for n in range(25))
    assert all(document.version is not None for document in documents)
    assert {d.document_id: d.fields["title"] for d in documents}["d7"] == "title 7"


def test_a_scan_is_as_of_the_moment_it_began(shop: Any) -> None:
    shop.put(**{f"d{number}": "old" for number in range(6)})
    scan = shop.engine.scan(shop.index, dataclasses.replace(shop.all, batch_size=2))
    first = next(scan)
    shop.put(**{f"d{number}": "new" for number in range(8)})
    shop.engine.delete_documents(shop.index, ["d5"])
    titles = [d.fields["title"] for d in first] + [d.fields["title"] for b in scan for d in b]
    assert titles == ["old"] * 6


def test_a_read_returns_only_the_fields_it_names(shop: Any) -> None:
    source = {"title": "a", "description": "b", "maker": {"name": "c", "city": "d"}}
    shop.engine.index_documents(shop.index, [Document(document_id="1", fields=source)])
    read = Read(fields=("title", "maker.name", "absent"))
    ((document,),) = shop.engine.scan(shop.index, read)
    assert dict(document.fields) == {"title": "a", "maker.name": "c"}
    assert not document.stamps
    assert not document.embeddings


def test_an_empty_index_scans_to_nothing(shop: Any) -> None:
    assert shop.read() == {}
    assert shop.engine.coverage(shop.index, shop.slot.name, 1) == Coverage(documents=0, stamped=0)
    assert shop.nearest(1) == []
    assert shop.matching("shoe") == []


def test_fetch_reads_the_present_and_leaves_the_deleted_out(shop: Any) -> None:
    shop.put(a="old", b="b", c="c")
    before = shop.read()
    shop.put(a="new")
    shop.engine.delete_documents(shop.index, ["b"])
    wanted = [before["a"], before["b"]]
    found = {d.document_id: d for d in shop.engine.fetch(shop.index, wanted, shop.all)}
    assert found.keys() == {"a"}
    assert found["a"].fields["title"] == "new"
    assert found["a"].version != before["a"].version
    assert shop.write(found["a"], shop.vector(1)) is Outcome.WRITTEN


def test_unicode_ids_and_texts_come_back_as_they_went_in(shop: Any) -> None:
    titles = {
        "ключ/1": "Straße",
        'o\'brien "x"': "naïve café",
        "日本": "東京タワー 🗼",
        "a b": "%_'",
    }
    shop.put(**titles)
    found = shop.read()
    assert {key: document.fields["title"] for key, document in found.items()} == titles
    for document in found.values():
        assert shop.write(document, shop.vector(1)) is Outcome.WRITTEN
    fetched = shop.engine.fetch(shop.index, list(found.values()), shop.all)
    assert {document.document_id for document in fetched} == set(titles)
    shop.engine.delete_documents(shop.index, list(titles))
    assert shop.read() == {}


def test_a_field_of_one_megabyte_comes_back_whole(shop: Any) -> None:
    text = "wörter " * (1_000_000 // 7)
    fields = {"title": "big", "description": text}
    shop.engine.index_documents(shop.index, [Document(document_id="1", fields=fields)])
    document = shop.read()["1"]
    assert document.fields["description"] == text
    assert shop.write(document, shop.vector(1)) is Outcome.WRITTEN
    assert shop.read()["1"].fields["description"] == text


def test_describe_says_what_the_index_is(shop: Any) -> None:
    shop.put(a="a", b="b")
    seen = shop.engine.describe(shop.index)
    assert seen.index == shop.index
    assert seen.fields["title"] == "text"
    assert seen.fields[shop.slot.name] == "knn_vector"
    assert seen.slots[shop.slot.name] == shop.slot
    assert seen.vectors_enabled
    assert seen.obstacles == ()
    assert seen.shards >= 1
    next(shop.engine.scan(shop.index, shop.all))
    assert shop.engine.describe(shop.index).documents == 2


def test_a_missing_index_is_named(engine: Any, new_index: str) -> None:
    read = Read(fields=("title",))
    fence = Fence(positions={})
    calls = [
        lambda: engine.describe(new_index),
        lambda: engine.prepare_slot(new_index, Slot(name="embedding__a", dimension=16)),
        lambda: list(engine.scan(new_index, read)),
        lambda: engine.fence(new_index),
        lambda: list(engine.changes(new_index, fence, fence, read)),
        lambda: engine.coverage(new_index, "embedding__a", 1),
        lambda: engine.search_vectors(
            new_index, "embedding__a", np.ones(16, np.float32), 1, generation=1
        ),
        lambda: engine.search_text(new_index, [("title", 1.0)], "shoe", 1),
    ]
    for call in calls:
        with pytest.raises(IndexMissingError, match=new_index):
            call()


def test_an_index_is_not_created_twice_and_may_be_dropped_twice(shop: Any) -> None:
    shop.put(a="kept")
    with pytest.raises(ConnectorError):
        shop.engine.create_index(shop.index, ["title"])
    assert shop.read()["a"].fields["title"] == "kept"
    shop.engine.drop_index(shop.index)
    shop.engine.drop_index(shop.index)


# Slots.


def test_a_slot_is_prepared_twice_but_not_with_another_dimension(shop: Any) -> None:
    shop.put(a="a")
    shop.write(shop.read()["a"], shop.vector(1))
    shop.engine.prepare_slot(shop.index, shop.slot)
    with pytest.raises(MappingConflictError, match=shop.slot.name):
        shop.engine.prepare_slot(shop.index, Slot(name=shop.slot.name, dimension=17))
    assert shop.engine.describe(shop.index).slots[shop.slot.name] == shop.slot
    np.testing.assert_array_equal(shop.read()["a"].embeddings[shop.slot.name], shop.vector(1))


def test_a_written_slot_holds_vector_and_stamp_and_nothing_else_changes(shop: Any) -> None:
    fields = {"title": "a", "description": "long", "price": 3.5, "tags": ["x", "y"]}
    document = Document(document_id="1", fields=fields)
    shop.engine.index_documents(shop.index, [document])
    assert shop.write(shop.read()["1"], shop.vector(0.25, -3.5)) is Outcome.WRITTEN
    found = shop.read()["1"]
    np.testing.assert_array_equal(found.embeddings[shop.slot.name], shop.vector(0.25, -3.5))
    assert dict(found.stamps) == {shop.slot.name: shop.stamp(1)}
    read = Read(fields=tuple(fields))
    ((again,),) = shop.engine.scan(shop.index, read)
    assert dict(again.fields) == fields


def test_the_two_slots_do_not_touch_each_other(shop: Any) -> None:
    shop.put(a="a")
    shop.write(shop.read()["a"], shop.vector(1), generation=1)
    shop.write(shop.read()["a"], shop.vector(0, 1), generation=2, slot=shop.other_slot)
    found = shop.read()["a"]
    assert {name: stamp.generation for name, stamp in found.stamps.items()} == {
        shop.slot.name: 1,
        shop.other_slot.name: 2,
    }
    np.testing.assert_array_equal(found.embeddings[shop.slot.name], shop.vector(1))
    np.testing.assert_array_equal(found.embeddings[shop.other_slot.name], shop.vector(0, 1))


def test_a_document_without_text_gets_a_stamp_and_no_vector(shop: Any) -> None:
    shop.put(a="")
    assert shop.write(shop.read()["a"], None) is Outcome.WRITTEN
    found = shop.read()["a"]
    assert found.stamps[shop.slot.name] == shop.stamp(1)
    assert shop.slot.name not in found.embeddings
    assert shop.nearest(1) == []
    assert shop.engine.coverage(shop.index, shop.slot.name, 1).complete


def test_a_document_that_loses_its_text_loses_its_vector(shop: Any) -> None:
    shop.put(a="text")
    shop.write(shop.read()["a"], shop.vector(1))
    assert shop.write(shop.read()["a"], None, generation=2) is Outcome.WRITTEN
    found = shop.read()["a"]
    assert found.stamps[shop.slot.name].generation == 2
    assert shop.slot.name not in found.embeddings
    assert shop.nearest(1) == []


def test_a_vector_that_does_not_fit_is_rejected_and_its_neighbours_are_written(shop: Any) -> None:
    shop.put(a="a", b="b", c="c")
    found = shop.read()
    writes = [
        shop.write_of(found["a"], shop.vector(1)),
        shop.write_of(found["b"], np.ones(5, np.float32)),
        shop.write_of(found["c"], shop.vector(1, 1)),
    ]
    results = shop.engine.write_embeddings(shop.index, shop.slot.name, writes)
    assert [result.document_id for result in results] == ["a", "b", "c"]
    assert [result.outcome for result in results] == ["written", "rejected", "written"]
    assert results[1].reason
    assert not shop.read()["b"].stamps


def test_a_write_of_nothing_writes_nothing(shop: Any) -> None:
    assert shop.engine.write_embeddings(shop.index, shop.slot.name, []) == []


def test_a_whole_document_write_drops_the_slot(shop: Any) -> None:
    shop.put(a="a")
    shop.write(shop.read()["a"], shop.vector(1))
    shop.put(a="a")
    found = shop.read()["a"]
    assert not found.stamps
    assert not found.embeddings
    assert shop.nearest(1) == []


def test_a_field_update_keeps_the_slot_and_the_other_fields(shop: Any) -> None:
    source = {"title": "a", "description": "long", "maker": {"name": "c", "city": "d"}}
    shop.engine.index_documents(shop.index, [Document(document_id="1", fields=source)])
    shop.write(shop.read()["1"], shop.vector(1))
    changes = {"title": "new", "maker": {"name": "e"}}
    shop.engine.update_fields(shop.index, "1", changes)
    read = dataclasses.replace(
        shop.all, fields=("title", "description", "maker.name", "maker.city")
    )
    ((found,),) = shop.engine.scan(shop.index, read)
    assert dict(found.fields) == {
        "title": "new",
        "description": "long",
        "maker.name": "e",
        "maker.city": "d",
    }
    assert found.stamps[shop.slot.name] == shop.stamp(1)
    np.testing.assert_array_equal(found.embeddings[shop.slot.name], shop.vector(1))


def test_a_field_update_of_a_missing_document_is_refused(shop: Any) -> None:
    with pytest.raises(ConnectorError):
        shop.engine.update_fields(shop.index, "absent", {"title": "x"})
    assert shop.read() == {}


def test_coverage_counts_every_document_and_the_stamped_ones(shop: Any) -> None:
    def count(generation: int) -> Coverage:
        coverage: Coverage = shop.engine.coverage(shop.index, shop.slot.name, generation)
        return coverage

    shop.put(a="a", b="b", c="c")
    assert count(1) == Coverage(documents=3, stamped=0)
    found = shop.read()
    shop.write(found["a"], shop.vector(1))
    assert count(1) == Coverage(documents=3, stamped=1)
    shop.write(found["b"], shop.vector(1))
    shop.write(found["c"], None)
    assert count(1) == Coverage(documents=3, stamped=3)
    assert count(1).complete
    assert count(2) == Coverage(documents=3, stamped=0)
    shop.engine.delete_documents(shop.index, ["a"])
    assert count(1) == Coverage(documents=2, stamped=2)
    shop.put(b="again", d="new")
    assert count(1) == Coverage(documents=3, stamped=1)


def test_clearing_a_slot_leaves_the_other_and_the_documents(shop: Any) -> None:
    shop.put(a="a", b="b", c="c")
    found = shop.read()
    shop.write(found["a"], shop.vector(1))
    shop.write(found["b"], None)
    shop.write(shop.read()["a"], shop.vector(0, 1), slot=shop.other_slot)
    assert shop.engine.clear_slot(shop.index, shop.slot.name) == 2
    assert shop.engine.clear_slot(shop.index, shop.slot.name) == 0
    left = shop.read()
    assert left.keys() == {"a", "b", "c"}
    assert left["a"].fields["title"] == "a"
    assert left["a"].stamps.keys() == left["a"].embeddings.keys() == {shop.other_slot.name}
    assert shop.nearest(1) == []
    assert shop.write(left["b"], shop.vector(1), generation=3) is Outcome.WRITTEN


# Searching.


def test_vector_search_finds_the_nearest_among_documents_with_that_slot_only(shop: Any) -> None:
    shop.put(near="x", far="x", other="x", bare="x")
    found = shop.read()
    shop.write(found["near"], shop.vector(1, 0.1))
    shop.write(found["far"], shop.vector(0.1, 1))
    shop.write(found["other"], shop.vector(1), slot=shop.other_slot)
    assert shop.nearest(1) == ["near", "far"]
    assert shop.nearest(1, k=1) == ["near"]
    assert shop.nearest(1, slot=shop.other_slot) == ["other"]


def test_vector_hits_are_scored_best_first_and_carry_the_fields(shop: Any) -> None:
    shop.put(a="x", b="y", c="z")
    for key, document in shop.read().items():
        shop.write(document, shop.vector(1, "abc".index(key)))
    hits = shop.search(1, 2, k=3)
    assert [hit.document_id for hit in hits] == ["c", "b", "a"]
    assert [hit.fields["title"] for hit in hits] == ["z", "y", "x"]
    cosines = [1.0, 3 / 10**0.5, 1 / 5**0.5]
    assert [hit.score for hit in hits] == pytest.approx(cosines, abs=1e-5)


def test_cosine_ignores_the_length_of_a_vector_and_dot_honours_it(shop: Any) -> None:
    dot = Slot(name="by_dot__a", dimension=16, similarity="dot")
    shop.engine.prepare_slot(shop.index, dot)
    shop.put(long="x", aligned="x")
    vectors = {"long": shop.vector(3, 3), "aligned": shop.vector(1)}
    for slot in (shop.slot, dot):
        for key, document in shop.read().items():
            assert shop.write(document, vectors[key], slot=slot) is Outcome.WRITTEN
    assert shop.nearest(1) == ["aligned", "long"]
    assert shop.nearest(1, slot=dot) == ["long", "aligned"]
    hits = shop.search(-2, slot=dot, k=2)
    assert [hit.document_id for hit in hits] == ["aligned", "long"]
    assert [hit.score for hit in hits] == pytest.approx([-2, -6], abs=1e-5)


def test_a_search_within_values_of_a_field_meets_only_documents_that_hold_one(shop: Any) -> None:
    held = {
        "shoe": "Foot Wear",
        "boot": ["Rain", "Foot Wear"],
        "coat": "Rain",
        "odd": "foot",
        "none": None,
    }
    shop.engine.index_documents(
        shop.index,
        [
            Document(document_id=key, fields={"title": "x", "kind": {"name": value}})
            for key, value in held.items()
        ],
    )
    for key, document in shop.read().items():
        shop.write(document, shop.vector(1, 1 + list(held).index(key)))
    field = shop.engine.describe(shop.index).exact("kind.name")
    assert field

    def nearest(*values: str, k: int = 10, generation: int = 1) -> list[str]:
        within = Within(field=field, values=values)
        return shop.nearest(1, within=within, k=k, generation=generation)

    assert nearest("Foot Wear") == ["shoe", "boot"]
    assert nearest("Rain") == ["boot", "coat"]
    assert nearest("Rain", k=1) == ["boot"]
    assert nearest("Rain", "Foot Wear") == ["shoe", "boot", "coat"]
    assert nearest("rain") == nearest("Foot") == nearest('it\'s "odd"') == []
    assert nearest("Rain", generation=2) == []


def test_a_search_within_a_rare_value_finds_documents_that_are_far(shop: Any) -> None:
    fields = [{"title": "x", "kind": "rare" if n % 20 == 19 else "common"} for n in range(60)]
    shop.engine.index_documents(
        shop.index, [Document(document_id=f"{n:02}", fields=f) for n, f in enumerate(fields)]
    )
    for key, document in shop.read().items():
        shop.write(document, shop.vector(1, int(key) / 10))
    field = shop.engine.describe(shop.index).exact("kind")
    found = shop.nearest(1, within=Within(field=field, values=("rare",)), k=2)
    assert found == ["19", "39"]


def test_a_search_meets_only_vectors_of_its_generation(shop: Any) -> None:
    """Invariant 9: whoever still searches a slot that was given away meets nothing of the next."""
    shop.put(a="a", b="b", c="c", d="d")
    for key, generation in {"a": 1, "b": 2, "c": 2}.items():
        shop.write(shop.read()[key], shop.vector(1, generation), generation=generation)
    assert shop.nearest(1) == ["a"]
    assert shop.nearest(1, generation=2) == ["b", "c"]
    assert shop.nearest(1, generation=2, k=1) == ["b"]
    assert shop.nearest(1, generation=3) == []
    shop.write(shop.read()["b"], shop.vector(1), generation=1)
    assert shop.nearest(1) == ["b", "a"]


def test_a_query_vector_of_another_dimension_is_refused(shop: Any) -> None:
    shop.put(a="a")
    shop.write(shop.read()["a"], shop.vector(1))
    with pytest.raises(ConnectorError):
        shop.engine.search_vectors(
            shop.index, shop.slot.name, np.ones(3, np.float32), 5, generation=1
        )


def test_a_slot_that_was_never_prepared_is_named(shop: Any) -> None:
    shop.put(a="a")
    with pytest.raises(FieldMissingError, match="absent__a"):
        shop.engine.search_vectors(shop.index, "absent__a", shop.vector(1), 5, generation=1)


def test_text_search_finds_a_document_written_a_moment_ago(shop: Any) -> None:
    shop.put(a="red shoe", b="blue hat")
    assert shop.matching("shoe") == ["a"]
    shop.put(c="green shoe lace")
    shop.engine.update_fields(shop.index, "b", {"title": "suede shoe"})
    assert set(shop.matching("shoe")) == {"a", "b", "c"}
    shop.put(a="sandal")
    shop.engine.delete_documents(shop.index, ["b"])
    assert shop.matching("Shoe!") == ["c"]


def test_text_search_still_finds_documents_after_their_slots_were_written(shop: Any) -> None:
    shop.put(a="red shoe", b="blue hat")
    for document in shop.read().values():
        shop.write(document, shop.vector(1))
    assert shop.matching("red hat shoe") == ["a", "b"]
    assert shop.matching("hat") == ["b"]


def test_text_search_ranks_rare_words_and_boosted_fields_first(shop: Any) -> None:
    sources = {
        "t": {"title": "zebra", "description": "plain words here"},
        "d": {"title": "other", "description": "zebra words here"},
        "n": {"title": "words", "description": "words"},
    }
    documents = [Document(document_id=key, fields=source) for key, source in sources.items()]
    shop.engine.index_documents(shop.index, documents)
    assert shop.matching("zebra", ("title", 5.0), ("description", 1.0)) == ["t", "d"]
    assert shop.matching("zebra", ("title", 1.0), ("description", 5.0)) == ["d", "t"]
    assert shop.matching("zebra words", ("description", 1.0))[0] == "d"


@pytest.mark.parametrize("text", ["", "!!!", '"', "AND OR (", "a:b^c~", "shoe*", "\\"])
def test_text_search_takes_whatever_people_type(shop: Any, text: str) -> None:
    shop.put(a="red shoe")
    assert set(shop.matching(text)) <= {"a"}
