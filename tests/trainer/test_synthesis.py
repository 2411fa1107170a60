"""Rows with a teacher's margins, made by models that are no models: how many, which, and again."""

import itertools
import json
import math
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.errors import SynthesisError, TrainingDataError
from desireline.trainer.synthesis import vectors
from desireline.trainer.synthesis.asked import Asked, Opened
from desireline.trainer.synthesis.best_of import NOTHING, BestOf
from desireline.trainer.synthesis.deadline import Deadline
from desireline.trainer.synthesis.making import Judge
from desireline.trainer.synthesis.run import run, write_ahead
from desireline.trainer.synthesis.settings import AbsentWriter, SynthesisSettings
from desireline.trainer.synthesis.sources import read_documents
from desireline.trainer.synthesis.vectors import VectorSearch
from desireline.trainer.synthesis.words import WordSearch

COLOURS = ["red", "blue", "green", "black", "white"]
THINGS = ["shoe", "nurse", "garden", "engine", "table", "lamp", "boat", "tree"]
DOCUMENTS = [
    {"document_id": f"{c}-{t}", "title": f"{c} {t}", "text": f"a {t} that is {c} and {n} old"}
    for n, (c, t) in enumerate(itertools.product(COLOURS, THINGS))
]
QUERIES = [f"{c} {t} {n}" for c, t in itertools.product(COLOURS[:3], THINGS[:4]) for n in (1, 2, 3)]


def shared(pairs):
    """Score a pair by its words in common; deterministic, unlike anything a model says."""
    return [len(set(q.split()) & set(d.split())) - 1.5 + len(d) / 1000 for q, d in pairs]


class Writer:
    """Says the end of each text; counts how often it is asked."""

    fingerprint = "writer"

    def __init__(self):
        self.asked = 0

    def __call__(self, texts, most):
        self.asked += len(texts)
        return [[f"{text[-12:]} {n}" for n in range(most)] for text in texts]


def synthesis(out, *, documents=DOCUMENTS, queries=QUERIES, words=True, **more):
    """Make rows with the models above; `more` of settings, or of the parts by their names."""
    parts = {
        name: more.pop(name, value)
        for name, value in (
            ("encoder", FakeEncoder()),
            ("read", shared),
            ("writer", None),
            ("deadline", Deadline(clock=lambda: 0.0, at=None)),
            ("progress", lambda *_: None),
        )
    }
    asked = Asked(
        documents=documents,
        queries=queries,
        out=Path(out),
        settings=SynthesisSettings(**more),
        deadline=parts["deadline"],
        progress=parts["progress"],
    )

    def searches(found, folder):
        encoded = VectorSearch("fake", parts["encoder"], found, folder / "vectors")
        return [encoded, WordSearch(found, folder / "words")] if words else [encoded]

    judge = Judge(fingerprint="shared words", read=parts["read"])
    return run(
        asked,
        Opened(searches=searches, judge=judge, judge_name="shared", writer=parts["writer"]),
    )


def rows_of(made):
    return [json.loads(line) for line in made.file.read_text().splitlines()]


@pytest.mark.parametrize("relations", [2, 3, 10])
def test_there_is_a_row_for_each_query_and_each_further_relation(tmp_path, relations):
    made = synthesis(tmp_path / "out", num_relations=relations)
    rows = rows_of(made)
    assert made.rows == len(rows) == len(QUERIES) * (relations - 1)
    assert made.complete
    assert {row["query"] for row in rows} == set(QUERIES)
    assert not (tmp_path / "out.synthesis").exists()


def test_a_margin_is_the_difference_of_the_scores_of_the_best_and_another(tmp_path):
    made = synthesis(tmp_path / "out", num_relations=4, scores="logit")
    by_query = {}
    for row in rows_of(made):
        by_query.setdefault(row["query"], []).append(row)
    for query, rows in by_query.items():
        read = {row["document"] for row in rows} | {row["negative"] for row in rows}
        scores = {text: shared([(query, text)])[0] for text in read}
        best = max(scores.values())
        assert len(read) == 4
        for row in rows:
            assert scores[row["document"]] == best
            assert row["margin"] == scores[row["document"]] - scores[row["negative"]] >= 0


def test_a_probability_is_what_the_scores_become(tmp_path):
    logits = rows_of(synthesis(tmp_path / "logit", scores="logit"))
    told = rows_of(synthesis(tmp_path / "probability"))

    def sigmoid(query, text):
        return 1 / (1 + math.exp(-shared([(query, text)])[0]))

    for one, two in zip(logits, told, strict=True):
        query, right, wrong = one["query"], one["document"], one["negative"]
        assert (query, right, wrong) == (two["query"], two["document"], two["negative"])
        assert two["margin"] == pytest.approx(sigmoid(query, right) - sigmoid(query, wrong))


def test_a_known_document_is_the_right_one_and_right_ones_are_never_negatives(tmp_path):
    queries = [
        {"query": "Red  shoe", "document_id": "red-shoe"},
        {"query": "red shoe", "document_id": "blue-lamp"},
        {"query": "a lamp", "document_id": ""},
    ]
    rows = rows_of(synthesis(tmp_path / "out", queries=queries, num_relations=30))
    text = {each["document_id"]: f"{each['title']}. {each['text']}" for each in DOCUMENTS}
    known = [row for row in rows if "shoe" in row["query"]]
    assert {row["document_id"] for row in known} == {"red-shoe", "blue-lamp"}
    assert {row["document"] for row in known} == {text["red-shoe"], text["blue-lamp"]}
    assert not {row["negative"] for row in known} & {text["red-shoe"], text["blue-lamp"]}
    assert min(row["margin"] for row in known) < 0
    assert len(rows) == 3 * 29


def test_documents_of_one_text_are_one(tmp_path):
    again = [{**each, "document_id": f"{each['document_id']}-again"} for each in DOCUMENTS]
    queries = [{"query": "q", "document_id": "red-shoe-again"}]
    made = synthesis(tmp_path / "out", documents=DOCUMENTS + again, queries=queries)
    assert made.card["documents"]["distinct"] == len(DOCUMENTS)
    assert made.card["documents"]["rows"] == 2 * len(DOCUMENTS)
    assert {row["document_id"] for row in rows_of(made)} == {"red-shoe"}


def test_titles_are_cut_to_queries_where_nobody_writes(tmp_path):
    made = synthesis(tmp_path / "out", queries=None, queries_per_document=2)
    for row in rows_of(made):
        assert set(row["query"].split()) <= set(row["document"].split(".")[0].split())
    assert made.card["query_writer"]["fingerprint"] == "titles"


def test_a_writer_is_asked_once_for_each_document_it_is_drawn_for(tmp_path):
    writer = Writer()
    made = synthesis(tmp_path / "out", queries=None, writer=writer, queries_per_document=2)
    assert writer.asked == len(DOCUMENTS)
    assert made.queries == 2 * len(DOCUMENTS)
    few = Writer()
    some = synthesis(tmp_path / "few", queries=None, writer=few, max_pairs=12)
    assert (few.asked, some.queries, some.rows) == (2, 6, 12)


def test_what_was_written_elsewhere_is_found(tmp_path):
    asked = Asked(
        documents=DOCUMENTS,
        queries=None,
        out=tmp_path / "out",
        settings=SynthesisSettings(),
        deadline=Deadline(clock=lambda: 0.0, at=None),
        progress=lambda *_: None,
    )
    write_ahead(asked, Writer())
    far = synthesis(tmp_path / "out", queries=None, writer=AbsentWriter("writer"))
    near = synthesis(tmp_path / "near", queries=None, writer=Writer())
    assert far.file.read_bytes() == near.file.read_bytes()
    with pytest.raises(SynthesisError, match="not one query was written"):
        synthesis(tmp_path / "none", queries=None, writer=AbsentWriter("nobody"))


def test_vectors_are_compared_exactly_whatever_the_block():
    drawn = np.random.default_rng(0)
    scores = drawn.integers(0, 12, (7, 100)).astype(np.float32)
    scores[3, 20:] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :25]
    expected = np.where(np.isneginf(np.take_along_axis(scores, order, 1)), NOTHING, order)
    for size in (1, 7, 40, 100):
        best = BestOf(7, 25)
        for start in range(0, 100, size):
            best.add(start, scores[:, start : start + size])
        np.testing.assert_array_equal(best.documents, expected)


def test_words_are_scored_as_the_formula_says_in_every_block(tmp_path, monkeypatch):
    texts = ["red shoe red", "blue shoe", "garden nurse of the garden", "shoe shoe shoe shoe"]
    documents = read_documents(texts, (), tmp_path / "documents")
    monkeypatch.setattr("desireline.trainer.synthesis.words.BLOCK", 3)
    search = WordSearch(documents, tmp_path / "words")
    search.prepare(Deadline(clock=lambda: 0.0, at=None), lambda *_: None)
    found = np.concatenate([scores for _, scores in search.blocks(["Red SHOE", "cm"])], axis=1)
    mean = sum(len(text.split()) for text in texts) / len(texts)
    for at, text in enumerate(texts):
        words = text.split()
        expected = 0.0
        for word in ("red", "shoe"):
            held = sum(word in other.split() for other in texts)
            rarity = math.log(1 + (len(texts) - held + 0.5) / (held + 0.5))
            times = words.count(word)
            expected += rarity * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * len(words) / mean))
        assert found[0, at] == pytest.approx(expected or -math.inf, rel=1e-6)
    assert np.isneginf(found[1]).all()


def test_memory_is_that_of_a_block_whatever_the_number_of_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK", 64)
    most = {}

    class Counting(FakeEncoder):
        def encode_documents(self, texts):
            assert len(texts) <= 64
            return super().encode_documents(texts)

    for count in (1_000, 4_000):
        texts = [f"document {number} of many words" for number in range(count)]
        documents = read_documents(texts, (), tmp_path / f"documents-{count}")
        search = VectorSearch("v", Counting(256), documents, tmp_path / f"vectors-{count}")
        search.prepare(Deadline(clock=lambda: 0.0, at=None), lambda *_: None)
        tracemalloc.start()
        best = BestOf(20, 10)
        for first, scores in search.blocks([f"document {number}" for number in range(20)]):
            best.add(first, scores)
        most[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    vectors_of_all = 4_000 * 256 * 4
    assert most[4_000] < 1.1 * most[1_000]
    assert most[4_000] < vectors_of_all / 4


class Killed(BaseException):
    """Stands for a kill: nothing catches it on its way out."""


def test_killed_after_any_piece_it_goes_on_and_ends_with_the_same_bytes(tmp_path):
    whole = []
    options = {"queries": None, "num_relations": 3, "queries_per_document": 2}
    expected = synthesis(
        tmp_path / "whole", writer=Writer(), progress=lambda *told: whole.append(told), **options
    )
    assert {name for name, *_ in whole} == {"queries", "encode fake", "encode bm25", "score"}
    writer = Writer()
    for stop in range(1, len(whole) + 1):
        left = iter(range(stop))

        def progress(*_told, left=left):
            if next(left, None) is None:
                raise Killed

        out = tmp_path / "killed"
        if stop < len(whole):
            with pytest.raises(Killed):
                synthesis(out, writer=writer, progress=progress, **options)
            assert not out.exists()
    made = synthesis(tmp_path / "killed", writer=writer, **options)
    assert made.file.read_bytes() == expected.file.read_bytes()
    assert (made.folder / "card.json").read_bytes() == (expected.folder / "card.json").read_bytes()
    assert writer.asked == len(DOCUMENTS)


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_synthesis as t
t.synthesis(sys.argv[2], queries=None, writer=t.Writer(),
            progress=lambda name, done, total: print(name, flush=True) or sys.stdin.readline())
"""


@pytest.mark.parametrize("stage", ["queries", "encode fake", "encode bm25", "score"])
def test_a_killed_process_leaves_no_half_written_piece(tmp_path, stage):
    expected = synthesis(tmp_path / "whole", queries=None, writer=Writer())
    killed = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in killed.stdout:
        if line.strip() == stage:
            os.kill(killed.pid, signal.SIGKILL)
            break
        killed.stdin.write("go on\n")
        killed.stdin.flush()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    made = synthesis(tmp_path / "out", queries=None, writer=Writer())
    assert made.file.read_bytes() == expected.file.read_bytes()


def test_a_damaged_piece_is_made_again(tmp_path):
    def killed(name, _done, _total):
        if name == "score":
            raise Killed

    with pytest.raises(Killed):
        synthesis(tmp_path / "out", progress=killed)
    pieces = [
        path
        for part in ("vectors", "words", "found", "scores")
        for path in (tmp_path / "out.synthesis" / part).rglob("*")
        if path.is_file()
    ]
    assert len(pieces) >= 4
    for path in pieces:
        body = bytearray(path.read_bytes())
        body[-3] ^= 1
        path.write_bytes(body)
    made = synthesis(tmp_path / "out")
    expected = synthesis(tmp_path / "expected")
    assert made.file.read_bytes() == expected.file.read_bytes()


def test_a_spent_budget_gives_the_rows_there_are_and_the_same_call_goes_on(tmp_path):
    now = [0.0]

    def read(pairs):
        now[0] += 10.0
        return shared(pairs)

    def some(budget):
        deadline = Deadline.after(budget, lambda: now[0])
        return synthesis(tmp_path / "out", read=read, deadline=deadline)

    first = some(5.0)
    assert not first.complete
    assert 0 < first.queries < len(QUERIES)
    assert "the same call goes on" in first.sentence
    part = first.file.read_bytes()
    with pytest.raises(SynthesisError, match="exists already"):
        synthesis(tmp_path / "out", num_relations=5)
    rest = some(1_000.0)
    assert rest.complete
    assert now[0] == 20.0
    assert rest.file.read_bytes().startswith(part)
    assert rest.file.read_bytes() == synthesis(tmp_path / "whole").file.read_bytes()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["out", "whole"]


def test_writing_takes_half_of_the_time_and_reading_the_rest(tmp_path):
    now = [0.0]

    class Slow(Writer):
        def __call__(self, texts, most):
            now[0] += 60.0
            return super().__call__(texts, most)

    deadline = Deadline.after(100.0, lambda: now[0])
    made = synthesis(tmp_path / "out", queries=None, writer=Slow(), deadline=deadline)
    assert now[0] == 60.0
    assert not made.complete
    assert made.queries == 32 * 3
    rest = synthesis(tmp_path / "out", queries=None, writer=Slow())
    assert rest.complete
    assert rest.queries == len(DOCUMENTS) * 3
    whole = synthesis(tmp_path / "whole", queries=None, writer=Writer())
    assert rest.file.read_bytes() == whole.file.read_bytes()


def test_without_time_for_a_row_it_says_how_far_it_came(tmp_path):
    spent = Deadline(clock=lambda: 1.0, at=0.0)
    with pytest.raises(SynthesisError, match="0 of 40 documents were encoded by fake"):
        synthesis(tmp_path / "out", deadline=spent)
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_never_written_over(tmp_path):
    made = synthesis(tmp_path / "out")
    before = made.file.read_bytes()
    with pytest.raises(SynthesisError, match="exists already"):
        synthesis(tmp_path / "out", seed=1)
    assert made.file.read_bytes() == before
    (tmp_path / "other").mkdir()
    with pytest.raises(SynthesisError, match="exists already"):
        synthesis(tmp_path / "other")


def test_too_few_documents_and_nothing_to_ask_are_told(tmp_path):
    with pytest.raises(SynthesisError, match="2 distinct documents, and num_relations is 3"):
        synthesis(tmp_path / "out", documents=["a b", "c d", "a b"])
    with pytest.raises(SynthesisError, match="no titles"):
        synthesis(tmp_path / "out", documents=["a b", "c d", "e f"], queries=None)


def test_the_card_names_sources_and_models_and_no_folder(tmp_path):
    path = tmp_path / "documents.ndjson"
    path.write_text("".join(json.dumps(each) + "\n" for each in DOCUMENTS))
    made = synthesis(tmp_path / "out", documents=path)
    written = (made.folder / "card.json").read_text() + (made.folder / "README.md").read_text()
    assert str(tmp_path) not in written
    assert made.card["documents"]["name"] == "documents.ndjson"
    assert FakeEncoder().fingerprint in written
    assert made.card["sha256"] in written
    assert json.loads((made.folder / "card.json").read_text()) == made.card
    assert made.card["rows"] == made.rows


def test_a_teacher_without_numbers_is_named_and_leaves_nothing_in_the_way(tmp_path):
    with pytest.raises(SynthesisError, match="is no number"):
        synthesis(tmp_path / "out", read=lambda pairs: [float("nan")] * len(pairs))
    assert synthesis(tmp_path / "out").rows == synthesis(tmp_path / "other").rows


def test_a_seed_is_a_draw(tmp_path):
    same = [synthesis(tmp_path / f"same-{n}", seed=3).file.read_bytes() for n in (1, 2)]
    assert same[0] == same[1]
    assert synthesis(tmp_path / "other", seed=4).file.read_bytes() != same[0]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("d.csv", "document_id,text\na,b\na,c\n", "line 3: 'a', expected another document_id"),
        ("d.csv", "document_id,text\na,b\n,c\n", "line 3: '', expected text in document_id"),
        ("d.csv", "title,text\nx\n", "line 2: 'x', expected 2 cells: title, text"),
        ("d.ndjson", '{"text": "a"}\nno json\n', "line 2: 'no json', expected a JSON object"),
        ("d.ndjson", '{"text": {"a": 1}}\n', "line 1: {'a': 1}, expected text in text"),
        ("d.ndjson", '{"text": ""}\n{"other": 1}\n', "2 rows of"),
        ("d.ndjson", "", "holds no rows"),
        ("d.parquet", "no parquet", "cannot be read"),
        ("d.xlsx", "", "its name ends in '.xlsx'"),
        ("d.txt", "\xff", "cannot be read"),
    ],
)
def test_a_wrong_row_of_documents_is_named_and_nothing_is_left(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TrainingDataError) as wrong:
        synthesis(tmp_path / "out", documents=path)
    assert said in str(wrong.value)
    assert name in str(wrong.value)
    assert "nothing was" in str(wrong.value)
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("queries", "said"),
    [
        ([{"query": "q", "document_id": "red-cup"}], "line 1: 'red-cup', expected the document_id"),
        (["q", ""], "line 2: '', expected text in query"),
        ([None], "line 1: None, expected text in query"),
        ([True], "line 1: True, expected text in query"),
        ([], "holds no rows"),
        ([{"question": float("nan")}], "line 1: nan"),
    ],
)
def test_a_wrong_query_is_named_and_nothing_is_left(tmp_path, queries, said):
    with pytest.raises(TrainingDataError) as wrong:
        synthesis(tmp_path / "out", queries=queries)
    assert said in str(wrong.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TrainingDataError, match=r"missing\.csv cannot be read"):
        synthesis(tmp_path / "out", documents=tmp_path / "missing.csv")
    assert list(tmp_path.iterdir()) == []


def test_files_of_every_kind_say_the_same(tmp_path):
    import polars as pl

    expected = rows_of(synthesis(tmp_path / "expected"))
    frame = pl.DataFrame(DOCUMENTS)
    frame.write_csv(tmp_path / "d.csv")
    frame.write_ndjson(tmp_path / "d.ndjson")
    frame.write_parquet(tmp_path / "d.parquet")
    (tmp_path / "q.txt").write_text("".join(f"{query}\n" for query in QUERIES))
    for suffix in ("csv", "ndjson", "parquet"):
        made = synthesis(
            tmp_path / suffix, documents=tmp_path / f"d.{suffix}", queries=tmp_path / "q.txt"
        )
        assert rows_of(made) == expected


def test_halves_of_characters_and_odd_spaces_do_no_harm(tmp_path):
    documents = [f"a \ud800 {n}\u2028 \x00" for n in range(4)]
    made = synthesis(tmp_path / "out", documents=documents, queries=["\udfff q", "q,\n\tr"])
    assert len(rows_of(made)) == 4
