"""`desireline mine` on a target that users clicked in."""

import json
from collections import Counter

from typer.testing import CliRunner

from desireline.sidecar.cli.app import app
from desireline.trainer.simulation.users import SimulationConfig

TARGET = "jobs"
SETTINGS = f"""
[targets.{TARGET}.tune]
miners = ["clicked", "skipped_above", "engine_negatives", "self_supervised", "co_clicked"]
miner_settings = {{ engine_negatives = {{ max_negatives = 2 }} }}
"""


def test_the_pairs_of_a_query_are_shown_with_where_they_come_from(
    make_product, silent, monkeypatch
):
    product = make_product(extra=SETTINGS)
    product.fill()
    monkeypatch.chdir(product.folder)
    early = CliRunner().invoke(app, ["mine", TARGET])
    assert "run desireline reindex jobs" in early.stderr
    product.sidecar.reindex(TARGET, None, silent)
    log = product.users_click(SimulationConfig(searches=3_000, zipf=1.2, bots=0, seed=5))
    before = product.sidecar.generations(TARGET)

    typed = Counter(query.text for query in log.queries())
    explained = [run(query)["explanation"] for query, _ in typed.most_common(4)]
    explanation = max(explained, key=lambda each: len(each["pairs"]))
    best = max(explanation["pairs"], key=lambda pair: pair["weight"])
    assert {"clicked", "engine_negatives"} <= {found["miner"] for found in best["found_by"]}
    assert all(found["why"] for found in best["found_by"])
    of_engine = next(f for f in best["found_by"] if f["miner"] == "engine_negatives")
    assert len(of_engine["negatives"]) == 2
    assert best["document_id"] not in of_engine["negatives"]

    report = run("no such query")
    by_name = {each["miner"]: each for each in report["miners"]}
    assert by_name["self_supervised"]["found"] == len(product.occupations.documents)
    assert by_name["clicked"]["kept"] == by_name["clicked"]["found"] > 0
    assert by_name["crops"] == {
        "miner": "crops",
        "on": False,
        "found": 0,
        "kept": 0,
        "accuracy": None,
    }
    assert 0 < by_name["co_clicked"]["accuracy"] < 1
    assert report["explanation"]["pairs"] == []
    assert "no miner found a pair" in report["explanation"]["sentence"]
    assert product.sidecar.generations(TARGET) == before

    told = CliRunner().invoke(app, ["mine", TARGET, "--explain", explanation["query"]])
    assert f"{explanation['query']}: " in told.stdout
    assert "that nobody wanted" in told.stdout


def run(query):
    found = CliRunner().invoke(app, ["mine", TARGET, "--explain", query, "--json"])
    assert found.exit_code == 0, found.stderr
    return json.loads(found.stdout)
