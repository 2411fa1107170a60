"""Rows of people's own: every kind, every dialect, and every bad row at once."""

import polars as pl
import pytest

from desireline.trainer.errors import NothingToLearnError, TrainingDataError
from desireline.trainer.finetuning.files import CSVOptions
from desireline.trainer.finetuning.own_pairs import read_training_data

PAIRS = [("red shoe", "a shoe"), ("red shoe", "a boot"), ("nurse", "a person who cares")]


def texts(data, seed=0):
    return [(pair.anchor, pair.positive.text) for pair in data.pairs(seed).pairs]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_of_any_dialect_and_encoding_is_read(tmp_path, delimiter, encoding):
    file = tmp_path / "pairs.csv"
    rows = [*PAIRS, ("café, naïve; quick", 'said "yes"')]
    quoted = [delimiter.join('"' + c.replace('"', '""') + '"' for c in row) for row in rows]
    file.write_text("\r\n".join(quoted), encoding=encoding, newline="")
    assert texts(read_training_data(file)) == rows


def test_a_head_line_names_the_columns_in_any_order(tmp_path):
    file = tmp_path / "pairs.tsv"
    file.write_text("weight\tpositive\tanchor\tdocument_id\n2.5\ta shoe\tred shoe\td1\n")
    (pair,) = read_training_data(file).pairs(0).pairs
    assert (pair.anchor, pair.positive.text, pair.positive.document_id) == (
        "red shoe",
        "a shoe",
        "d1",
    )
    assert pair.weight == 2.5


def test_ndjson_and_parquet_hold_the_same_as_lists(tmp_path):
    rows = [{"query": query, "document": document} for query, document in PAIRS]
    frame = pl.DataFrame(rows)
    frame.write_ndjson(tmp_path / "pairs.ndjson")
    frame.write_parquet(tmp_path / "pairs.parquet")
    found = [
        read_training_data(source)
        for source in (rows, PAIRS, tmp_path / "pairs.ndjson", tmp_path / "pairs.parquet")
    ]
    assert all(each.pairs(0) == found[0].pairs(0) for each in found)


def test_all_documents_of_one_query_are_right_for_it_in_any_row():
    data = read_training_data([*PAIRS, ("Red  Shoe", "a sandal")])
    pairs = data.pairs(0)
    right = {"a shoe", "a boot", "a sandal"}
    assert pairs.related["red shoe"] == right
    assert pairs.related["Red  Shoe"] == right
    assert pairs.related["nurse"] == {"a person who cares"}


def test_the_same_pair_twice_counts_twice():
    pairs = read_training_data([PAIRS[0], PAIRS[2], PAIRS[0]]).pairs(0).pairs
    assert [pair.weight for pair in pairs] == [2.0, 1.0]


def test_triplets_keep_their_negatives_but_for_what_is_right():
    rows = [("q", "a", "n"), ("q", "b", "a"), ("q", "a", "m")]
    first, second = read_training_data(rows).pairs(0).pairs
    assert [negative.text for negative in first.negatives] == ["n", "m"]
    assert second.negatives == ()


def test_a_teacher_s_margins_stay_with_their_negatives():
    rows = [{"query": "q", "document": "a", "negatives": ["n", "m"], "margins": [1.5, -0.5]}]
    (pair,) = read_training_data(rows).pairs(0).pairs
    assert [negative.text for negative in pair.negatives] == ["n", "m"]
    assert pair.margins == (1.5, -0.5)


def test_a_third_column_of_numbers_is_a_score_and_one_of_0_is_not_right():
    data = read_training_data([("q", "a", "0.9"), ("q", "b", "0"), ("r", "b", "1")])
    assert data.kind == "scored"
    assert [pair.score for pair in data.pairs(0).pairs] == [0.9, 0.0, 1.0]
    assert data.pairs(0).related["q"] == {"a"}


def test_a_labelled_text_learns_from_another_of_its_label():
    rows = [{"text": t, "label": t[0]} for t in ("a1", "a2", "a3", "b1", "b2", "c1")]
    data = read_training_data(rows)
    pairs = data.pairs(0).pairs
    assert data.kind == "labelled"
    assert {pair.anchor for pair in pairs} == {"a1", "a2", "a3", "b1", "b2"}
    for pair in pairs:
        assert pair.positive.document_id == pair.anchor[0] == pair.positive.text[0]
        assert pair.positive.text != pair.anchor


def test_two_columns_are_labelled_when_told_so():
    options = CSVOptions(is_labeled=True)
    assert read_training_data([("a1", "x"), ("a2", "x")], options).kind == "labelled"


def test_every_bad_row_is_reported_by_line_value_and_what_was_expected(tmp_path):
    file = tmp_path / "scored.csv"
    good = [f"query {n},document {n},0.5" for n in range(5)]
    bad = ["q,d,1.5", ",d,0.5", "q,d", "q,d,many"] + ["x,y,2"] * 25
    file.write_text("\n".join(["query,document,score", *good, *bad]))
    with pytest.raises(TrainingDataError) as caught:
        read_training_data(file)
    said = str(caught.value)
    assert "29 rows of" in said
    assert "line 7: '1.5', expected 0 to 1 in score" in said
    assert "line 8: '', expected text in query" in said
    assert "line 9: 'q | d', expected 3 cells: query, document, score" in said
    assert "line 10: 'many', expected 0 to 1 in score" in said
    assert said.count("line ") == 20
    assert "and 9 more" in said
    assert "nothing was trained" in said


def test_a_line_that_is_no_json_is_named(tmp_path):
    file = tmp_path / "pairs.ndjson"
    file.write_text('{"query": "q", "document": "d"}\n{"query": "q", \n\n{"query": "r"}\n')
    with pytest.raises(TrainingDataError, match=r"2 rows .* line 2: .* line 4: None"):
        read_training_data(file)


def test_no_rows_are_nothing_to_learn_from(tmp_path):
    file = tmp_path / "pairs.csv"
    file.write_text("\n")
    with pytest.raises(NothingToLearnError, match="holds no rows"):
        read_training_data(file)


def test_a_head_line_with_a_name_that_is_not_known_is_no_row(tmp_path):
    file = tmp_path / "pairs.csv"
    file.write_text("query,title\nred shoe,a shoe\n")
    with pytest.raises(TrainingDataError, match="the columns query, title, of which no"):
        read_training_data(file)


def test_columns_of_a_dictionary_that_make_no_data_are_named():
    with pytest.raises(TrainingDataError, match="the columns title, colour"):
        read_training_data([{"title": "a", "colour": "b"}])


def test_a_file_of_an_unknown_kind_is_refused(tmp_path):
    file = tmp_path / "pairs.pkl"
    file.write_bytes(b"\x80")
    with pytest.raises(TrainingDataError, match="nothing was trained"):
        read_training_data(file)


def test_a_split_parts_queries_never_rows_of_one_query():
    rows = [(f"query {n % 20}", f"document {n}") for n in range(100)]
    train, held_out = read_training_data(rows).split(0.25, seed=1)
    of = [{lesson.query for lesson in part.lessons} for part in (train, held_out)]
    assert of[0].isdisjoint(of[1])
    assert len(of[1]) == 5
    assert len(train.lessons) + len(held_out.lessons) == 100
    qrels, documents = held_out.truth(train)
    assert set(qrels) == of[1]
    assert len(documents) == 100
