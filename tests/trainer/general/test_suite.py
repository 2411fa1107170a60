import json
from importlib.resources import files

import pytest

from desireline.sidecar.demo.occupations import load_occupations
from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.errors import GeneralSuiteError
from desireline.trainer.general.suite import builtin_suite, foreign, measure_part, read_suite
from desireline.trainer.measures.base import parse

DOCUMENT = {"part": "p", "id": "d", "text": "a long enough text about red shoes"}
QUERY = {"part": "p", "query": "red shoes", "relevant": ["d"]}


def written(tmp_path, *lines):
    path = tmp_path / "suite.jsonl"
    path.write_text(
        "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines)
    )
    return path


def test_the_suite_that_ships_is_small_and_whole():
    file = files("desireline.trainer.general").joinpath("suite.jsonl")
    assert len(file.read_bytes()) < 300_000
    parts = {part.name: part for part in builtin_suite()}
    assert set(parts) == {"jobs", "keywords", "titles"}
    assert all(len(part.qrels) >= 150 for part in parts.values())


def test_job_titles_by_which_the_demo_is_measured_are_not_in_the_suite():
    (jobs,) = (part for part in builtin_suite() if part.name == "jobs")
    assert not set(load_occupations().reported["test"]) & set(jobs.qrels)


@pytest.mark.parametrize("fields", [("title", "description"), ("description",)])
def test_a_part_is_left_out_where_the_target_holds_its_documents_in_whatever_template(fields):
    texts = [
        ". ".join(str(document.fields[name]) for name in fields)
        for document in load_occupations().documents
    ]
    kept = foreign(builtin_suite(), texts)
    assert [part.name for part in kept] == ["keywords", "titles"]
    assert foreign(builtin_suite(), ["a shop that sells red shoes of leather"]) == builtin_suite()


def test_an_encoder_is_measured_among_the_documents_of_the_part(tmp_path):
    other = {"part": "p", "id": "other", "text": "nothing of the kind at all, is it"}
    (part,) = read_suite(written(tmp_path, DOCUMENT, other, "", QUERY))
    measure = parse("mrr@10")
    assert measure_part(FakeEncoder(dimension=64), part, measure).mean(measure) == 1


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["{"], "line 1 of"),
        ([DOCUMENT, {**QUERY, "relevant": []}], "line 2 of"),
        ([{**DOCUMENT, "query": "both"}], "neither a document nor a query"),
        ([{**DOCUMENT, "colour": "red"}], "not of the suite's form"),
        ([DOCUMENT], "has no queries"),
        ([DOCUMENT, {**QUERY, "relevant": ["gone"]}], "names the document 'gone'"),
        ([QUERY, {**DOCUMENT, "part": "other"}], "names the document 'd'"),
    ],
)
def test_a_suite_that_cannot_be_used_is_told_by_its_line(tmp_path, lines, sentence):
    with pytest.raises(GeneralSuiteError, match=sentence):
        read_suite(written(tmp_path, *lines))


def test_a_suite_that_is_not_there_is_named(tmp_path):
    with pytest.raises(GeneralSuiteError, match="cannot be read"):
        read_suite(tmp_path / "none.jsonl")
