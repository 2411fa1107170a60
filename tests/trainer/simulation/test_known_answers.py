import gzip
import json
from pathlib import Path

import pytest

from desireline.connectors.errors import DesirelineError, JudgmentFormatError, LogFormatError
from desireline.trainer.simulation.known_answers import read_known_answers, read_run

SAMPLE = Path(__file__).parents[2] / "data" / "esci_ubi"


def write(folder, name, text):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_lines_of_query_and_document_are_all_alike(tmp_path):
    path = write(tmp_path, "truth.tsv", "red shoe\td1\nred shoe\td2\nsea\td3\n")
    assert read_known_answers(path) == {"red shoe": {"d1": 1.0, "d2": 1.0}, "sea": {"d3": 1.0}}


def test_a_third_cell_is_the_grade_and_the_better_one_holds(tmp_path):
    path = write(tmp_path, "truth.tsv.gz", "sea\td1\t2\nsea\td1\t3\nsea\td2\t0\nriver\td2\t0\n")
    assert read_known_answers(path) == {"sea": {"d1": 3.0, "d2": 0.0}}


def test_a_folder_of_tables_is_read_by_their_headers_and_splits(tmp_path):
    write(tmp_path, "a.tsv", "split\tquery\tpage\tcommand\ntrain\tlist\tls\tx\ntest\tcopy\tcp\ty\n")
    write(tmp_path, "b.tsv", "query\toccupation\npilot\t53\n")
    write(tmp_path, "notes.tsv", "something\telse\n")
    write(tmp_path, "documents.jsonl", "{}\n")
    every = {"list": {"ls": 1.0}, "copy": {"cp": 1.0}, "pilot": {"53": 1.0}}
    assert read_known_answers(tmp_path) == every
    assert read_known_answers(tmp_path, split="train").keys() == {"list", "pilot"}


def test_judgments_of_search_relevance_are_grades_over_the_greatest_rating():
    answers = read_known_answers(SAMPLE)
    assert len(answers) == 150
    assert sum(map(len, answers.values())) == 6_678
    assert {grade for row in answers.values() for grade in row.values()} == {0, 0.01, 0.1, 1}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.tsv", "sea\td1\nsea\n", "line 2 of"),
        ("a.tsv", "sea\td1\tgood\n", "line 1 of"),
        ("a.tsv", "sea\td1\tnan\n", "line 1 of"),
        ("a.tsv", "query\tpage\nsea\tp1\nriver\t\n", "line 3 of"),
        ("a.tsv", "sea\td1\t0\n", "holds no answer"),
        ("a.json", "{", "cannot be read as JSON"),
        ("a.json", json.dumps({"name": "x"}), "holds no judgmentRatings"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, text, said):
    path = write(tmp_path, name, text)
    with pytest.raises((LogFormatError, JudgmentFormatError)) as caught:
        read_known_answers(path)
    assert said in str(caught.value)
    assert path.name in str(caught.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(DesirelineError, match="nothing was written"):
        read_known_answers(tmp_path / "none.tsv")


def test_a_run_keeps_the_order_of_its_lines(tmp_path):
    path = write(tmp_path, "run.tsv", "sea\td2\t0.9\nsea\td1\t0.3\nriver\td1\n")
    assert read_run(path) == {"sea": ["d2", "d1"], "river": ["d1"]}
