"""Erasing: nothing is left, nothing comes back, and the models that learned from it give way."""

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest
import structlog

from desireline.connectors.documents import TextTemplate
from desireline.connectors.judgment_files import write_judgment_list
from desireline.connectors.relevance_judgments import JudgmentList, QuerySet, Rating
from desireline.sidecar import cycle
from desireline.sidecar.config import load_config
from desireline.sidecar.erasing import erasure as erasing
from desireline.sidecar.erasing import retraining
from desireline.sidecar.erasing.exports import Export, exports_of, keep_export
from desireline.sidecar.errors import NothingNamedError, SidecarError
from desireline.sidecar.generations import State
from desireline.sidecar.ladder import open_modes
from desireline.sidecar.learning.from_clicks import pull_sessions
from desireline.sidecar.privacy.promises import Privacy
from desireline.sidecar.reports.cycle_report import Diary, Outcome
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.training import Start
from desireline.sidecar.wiring import open_sidecar
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.pairs import Pair, PairSet, Passage

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TARGET = "shop"
PEOPLE = ("ann-1", "bob-1", "cid-1", "dan-1", "eve-1", "fay-1")


def write_log(folder: Path) -> None:
    """Six people search for shoes and click; ann also for something of her own."""
    records = []
    for n, (who, text) in enumerate(
        [*((who, "shoes") for who in PEOPLE), ("ann-1", "anns own words")]
    ):
        at = (NOW - timedelta(days=n)).isoformat()
        records += [
            {
                "type": "query",
                "query_id": f"q{n}",
                "text": text,
                "client": who,
                "at": at,
                "shown": ["a", "b"],
            },
            {
                "type": "click",
                "query_id": f"q{n}",
                "document_id": "a",
                "position": 1,
                "client": who,
                "at": at,
            },
        ]
    (folder / "clicks.ndjson").write_text("".join(json.dumps(record) + "\n" for record in records))


@contextmanager
def opened(tmp_path: Path, cluster: str = ""):
    """A shop that has pulled its log."""
    (tmp_path / "desireline.toml").write_text(
        f"""
        data_dir = "data"
        {cluster}
        [targets.{TARGET}]
        index = "shop"
        text = ["title"]
        logs = {{ kind = "files", path = "{tmp_path}/clicks.ndjson" }}
        [targets.{TARGET}.tune]
        mode = "full"
        """
    )
    write_log(tmp_path)
    with closing(
        open_sidecar(load_config(tmp_path / "desireline.toml"), clock=lambda: NOW)
    ) as found:
        pull_sessions(found.parts(TARGET))
        yield found


@pytest.fixture
def shop(tmp_path: Path):
    with opened(tmp_path) as sidecar:
        yield sidecar


def archived(sidecar, table: str = "queries") -> pl.DataFrame:
    with sidecar.parts(TARGET).archive.reading() as events:
        return events.scan(table).collect()


def erase(sidecar, what: str, named: str):
    return sidecar.erase(TARGET, what, named, by="a test")


def test_a_client_is_gone_and_the_others_stay(shop):
    (anns,) = shop.parts(TARGET).privacy.names.all_names("ann-1") & set(archived(shop)["client"])
    report = erase(shop, "client", "ann-1")
    assert report.found == 4  # two searches, two clicks
    assert all(place.left == 0 for place in report.places)
    assert {place.place for place in report.places} >= {"event archive", "pairs on disk"}
    for table in ("queries", "actions"):
        left = archived(shop, table)
        assert anns not in set(left["client"])
        assert left.height == len(PEOPLE) - 1
    assert report.models == ()
    assert report.retrain == ""


def test_a_query_is_gone_with_all_that_was_done_in_its_searches(shop):
    report = erase(shop, "query", "  Anns OWN words")
    assert report.found == 2
    assert "q6" not in {*archived(shop)["query_id"], *archived(shop, "actions")["query_id"]}
    assert archived(shop).height == len(PEOPLE)


def test_erasing_again_finds_nothing_and_says_the_same(shop):
    erase(shop, "client", "ann-1")
    again = erase(shop, "client", "ann-1")
    assert again.found == 0
    assert erase(shop, "client", "nobody-1").found == 0


def test_the_click_log_does_not_bring_it_back(shop, tmp_path):
    erase(shop, "client", "ann-1")
    parts = shop.parts(TARGET)
    pull_sessions(parts)
    assert archived(shop).height == len(PEOPLE) - 1
    parts.archive.rewrite(lambda _, rows: rows.filter(pl.lit(value=False)))
    for path in sorted(parts.archive.folder.glob("ledger.json")):
        path.unlink()  # as after a change of the log's settings: it is read from its start
    pull_sessions(parts)
    assert archived(shop).height == len(PEOPLE) - 1


def test_nothing_named_is_refused(shop):
    with pytest.raises(NothingNamedError):
        erase(shop, "client", "  ")
    assert archived(shop).height == len(PEOPLE) + 1


def test_pairs_that_a_killed_training_left_are_cleared(shop):
    folder = shop.parts(TARGET).registry.root / ".adding-left" / "pairs"
    pairs = tuple(
        Pair(anchor=anchor, positive=Passage("a", "a shoe"), source="clicked")
        for anchor in ("shoes", "anns own words")
    )
    PairSet(pairs=pairs, related={pair.anchor: frozenset({"a"}) for pair in pairs}).write(folder)
    report = erase(shop, "query", "anns own words")
    assert next(p for p in report.places if p.place == "pairs on disk").found == 2
    assert [pair.anchor for pair in PairSet.read(folder).pairs] == ["shoes"]


def test_a_sentence_of_a_report_that_names_it_is_redacted(shop):
    parts = shop.parts(TARGET)
    diary = Diary(parts.store, TARGET, SilentReporter(), parts.clock)
    diary.step("hook", "the hook said: anns own words are odd")
    diary.end(Outcome.KEPT_INCUMBENT, "anns own words")
    report = erase(shop, "query", "anns own words")
    assert next(p for p in report.places if p.place.startswith("reports")).found == 1
    last = shop.last_cycle(TARGET)
    assert last["reason"] == "[erased]"
    assert last["steps"][0]["sentence"] == "the hook said: [erased] are odd"


def test_what_to_do_about_a_failure_is_redacted_too(shop):
    parts = shop.parts(TARGET)
    diary = Diary(parts.store, TARGET, SilentReporter(), parts.clock)
    diary.fail(SidecarError("it broke", next_step="look at anns own words"))
    erase(shop, "query", "anns own words")
    assert shop.last_cycle(TARGET)["next_step"] == "look at [erased]"


@pytest.mark.opensearch
def test_reports_and_requests_in_a_cluster_are_cleared_the_same_way(
    tmp_path, opensearch_url, index_prefix
):
    cluster = f'cluster = {{ url = "{opensearch_url}", state = "{index_prefix}state" }}'
    with opened(tmp_path, cluster) as sidecar:
        test_a_sentence_of_a_report_that_names_it_is_redacted(sidecar)
        parts = sidecar.parts(TARGET)
        retraining.ask(parts, [b"one"])
        retraining.ask(parts, [b"two"])
        (request,) = parts.store.list(retraining.RETRAIN)
        assert len(request.body["digests"]) == 2
        assert retraining.due(parts) is None
        assert parts.store.list(retraining.RETRAIN) == []


LABELS = JudgmentList(
    name="labels",
    ratings={
        "Anns own words": (Rating(document_id="a", rating=1.0),),
        "shoes": (Rating(document_id="b", rating=0.5),),
    },
    at=NOW,
)


def exported(sidecar, place: str, kind: str, where: str, prefix: str = "") -> None:
    export = Export(place=place, kind=kind, where=where, at=NOW, prefix=prefix)
    keep_export(sidecar.parts(TARGET).store, TARGET, export)


def test_files_of_labels_are_named_with_what_to_do_about_them(shop, tmp_path):
    for name in ("holding.json", "clean.json", "broken.json", "gone.json"):
        exported(shop, "file", "judgments", str(tmp_path / name))
    write_judgment_list(LABELS, tmp_path / "holding.json")
    clean = dataclasses.replace(LABELS, ratings={"shoes": LABELS.ratings["shoes"]})
    write_judgment_list(clean, tmp_path / "clean.json")
    (tmp_path / "broken.json").write_text("{")
    said = {
        Path(sentence.partition(",")[0]).name: sentence
        for sentence in erase(shop, "query", "anns own words").exports
    }
    assert set(said) == {"holding.json", "broken.json", "gone.json"}
    assert "exported on 2026-11-21, holds the query: delete it" in said["holding.json"]
    assert "cannot be read here any more" in said["broken.json"]
    assert "is not here any more" in said["gone.json"]
    of_client = erase(shop, "client", "ann-1").exports
    assert len(of_client) == 4
    assert all("may count its clicks: delete it and export again" in each for each in of_client)


@pytest.mark.opensearch
def test_judgments_in_the_cluster_are_written_again_without_the_query(
    tmp_path, opensearch_url, index_prefix
):
    cluster = f'cluster = {{ url = "{opensearch_url}", state = "{index_prefix}state" }}'
    with opened(tmp_path, cluster) as sidecar:
        with closing(sidecar.parts(TARGET).judgment_lists(index_prefix)) as lists:
            labels = lists.add_judgments(LABELS)
            queries = lists.add_query_set(QuerySet(name="own", queries=("anns OWN words",), at=NOW))
            exported(sidecar, "cluster", "judgments", labels, index_prefix)
            exported(sidecar, "cluster", "query_sets", queries, index_prefix)
            exported(sidecar, "cluster", "judgments", "deleted by somebody", index_prefix)
            report = erase(sidecar, "query", "anns own words")
            (place,) = [p for p in report.places if p.place == "judgments in the cluster"]
            assert (place.found, place.left) == (2, 0)
            assert report.exports == ()
            assert lists.queries_of("judgments", labels) == ("shoes",)
            assert lists.queries_of("query_sets", queries) == ()
        left = exports_of(sidecar.parts(TARGET).store, TARGET)
        assert {export.where for export in left} == {labels, "deleted by somebody"}
        again = erase(sidecar, "query", "anns own words")
        assert again.found == 0


def test_a_list_that_gets_another_id_is_remembered_by_it(shop):
    class Lists:
        """As the plugin: a list that is written again has an id of its own."""

        kept: ClassVar = {"old": ("anns own words", "shoes")}

        def queries_of(self, kind, list_id):
            return self.kept.get(list_id, ())

        def copy_without(self, kind, list_id, queries):
            self.kept["new"] = tuple(set(self.kept[list_id]) - set(queries))
            return "new"

        def remove(self, kind, list_id):
            del self.kept[list_id]

        def close(self):
            pass

    exported(shop, "cluster", "judgments", "old")
    parts = dataclasses.replace(shop.parts(TARGET), judgment_lists=lambda _: Lists())
    report = erasing.erase(parts, "query", "anns own words", by="a test")
    assert [p.found for p in report.places if p.place == "judgments in the cluster"] == [1]
    assert Lists.kept == {"new": ("shoes",)}
    assert [export.where for export in exports_of(parts.store, TARGET)] == ["new"]


def test_neither_the_client_nor_the_text_is_logged(shop):
    with structlog.testing.capture_logs() as logs:
        erase(shop, "client", "ann-1")
        erase(shop, "query", "anns own words")
    assert logs
    assert "ann" not in str(logs)


@pytest.fixture
def learned(shop, exported_static):
    """A live model that a cycle made from what is in the archive."""
    parts = shop.parts(TARGET)
    names = set(archived(shop)["client"])
    parts.privacy.trained_on.keep("cycle-1", queries=["shoes", "anns own words"], clients=names)
    manifest = parts.registry.add(
        exported_static,
        template=TextTemplate(fields=("title",)),
        similarity="cosine",
        provenance=Provenance(base_model="b", parent="0" * 64, cycle_id="cycle-1"),
    )
    generation = parts.generations.create(
        index="shop", slot="embedding__a", dimension=16, similarity="cosine",
        fingerprint=manifest.fingerprint, created_at=NOW,
    )  # fmt: skip
    parts.generations.change(generation, state=State.LIVE)
    return manifest.fingerprint


@pytest.mark.parametrize(("what", "named"), [("client", "ann-1"), ("query", "anns own words")])
def test_the_models_that_learned_from_it_are_named_and_a_retrain_is_due(shop, learned, what, named):
    report = erase(shop, what, named)
    assert report.models == (learned,)
    assert "desireline tune shop" in report.retrain
    assert erase(shop, what, named).models == (learned,)
    assert erase(shop, "client", "nobody-1").models == ()
    request = retraining.due(shop.parts(TARGET))
    assert request is not None
    assert request.models == (learned,)


def test_a_retrain_is_begun_once_a_day_and_ends_when_no_such_model_may_serve(shop, learned):
    erase(shop, "client", "ann-1")
    parts = shop.parts(TARGET)
    assert retraining.begin_now(parts)
    assert not retraining.begin_now(parts)
    (generation,) = parts.generations.all()
    parts.generations.change(generation, state=State.RETIRED)
    assert retraining.due(parts) is None
    assert parts.store.list(retraining.RETRAIN) == []


def test_a_query_side_over_vectors_to_be_forgotten_gives_way_with_them(
    shop, learned, exported_static
):
    erase(shop, "client", "ann-1")
    parts = shop.parts(TARGET)
    adapter = parts.registry.add(
        exported_static,
        template=TextTemplate(fields=("title",)),
        similarity="cosine",
        provenance=Provenance(base_model="b", parent=learned, mode="adapter"),
        documents=learned,
    ).fingerprint
    (generation,) = parts.generations.all()
    parts.generations.change(generation, state=State.RETIRED, fingerprint=learned)
    live = parts.generations.create(
        index="shop", slot="embedding__a", dimension=16, similarity="cosine",
        fingerprint=adapter, created_at=NOW, way="query", vectors_of=generation.number,
    )  # fmt: skip
    parts.generations.change(live, state=State.LIVE)
    request = retraining.due(parts)
    assert request is not None
    assert set(request.models) == {learned, adapter}
    start = Start.of(parts, base="0" * 64, incumbent=adapter)
    diary = Diary(parts.store, parts.name, SilentReporter(), parts.clock)
    assert start.documents == learned
    assert open_modes(parts, start, diary) == ("full",)
    tune = parts.config.tune.model_copy(update={"mode": "auto"})
    parts = dataclasses.replace(parts, config=parts.config.model_copy(update={"tune": tune}))
    assert open_modes(parts, start, diary) == ("lora", "full")


def test_a_sidecar_with_another_data_folder_leaves_the_request_alone(shop, learned, tmp_path):
    erase(shop, "client", "ann-1")
    parts = shop.parts(TARGET)
    elsewhere = Privacy(
        tmp_path / "elsewhere", target=TARGET, config=parts.config.privacy, clock=parts.clock
    )
    other = dataclasses.replace(parts, privacy=elsewhere)
    assert retraining.due(other) is None
    assert not retraining.begin_now(other)
    assert retraining.due(parts) is not None


def test_the_gate_asks_of_a_retrain_only_that_it_is_not_worse(shop, learned):
    parts = shop.parts(TARGET)
    diary = Diary(parts.store, TARGET, SilentReporter(), parts.clock)
    assert cycle._gate(parts, diary) is None
    erase(shop, "client", "ann-1")
    asked = cycle._gate(parts, diary)
    assert asked is not None
    assert asked.margin < 0
    assert learned[:12] in diary.report.steps[-1].sentence


def test_a_retrain_waits_for_a_cycle_that_read_the_log_before(shop, learned):
    parts = shop.parts(TARGET)
    (generation,) = parts.generations.all()
    parts.generations.change(generation, state=State.RETIRED)
    diary = Diary(parts.store, TARGET, SilentReporter(), parts.clock)
    erase(shop, "client", "ann-1")
    assert retraining.due(parts) is not None
    diary.end(Outcome.KEPT_INCUMBENT, "no better")
    assert retraining.due(parts) is None


def test_the_same_weights_made_anew_without_it_are_not_accused(shop, learned):
    parts = shop.parts(TARGET)
    erase(shop, "client", "ann-1")
    parts.privacy.trained_on.keep("cycle-2", queries=["shoes"], clients=[])
    parts.privacy.trained_on.made("cycle-2", learned)
    assert retraining.due(parts) is None


def test_notes_of_models_that_are_gone_go_too(shop, learned):
    parts = shop.parts(TARGET)
    parts.privacy.trained_on.keep("cycle-of-no-model", queries=["shoes"], clients=[])
    shop.keep_promises(TARGET)
    folder = parts.registry.root.parent / "privacy" / TARGET / "trained-on"
    assert [path.name for path in folder.iterdir()] == ["cycle-1"]


KILLED = """
    import os, signal, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from desireline.sidecar.archive import event_archive
    from desireline.sidecar.config import load_config
    from desireline.sidecar.wiring import open_sidecar

    when, write = sys.argv[2], event_archive.write_ledger

    def die_around(folder, ledger):
        if when == "after":
            write(folder, ledger)
        os.kill(os.getpid(), signal.SIGKILL)

    event_archive.write_ledger = die_around
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    sidecar = open_sidecar(load_config(Path(sys.argv[1])), clock=lambda: now)
    sidecar.erase("shop", "client", "ann-1", by="a test")
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_the_archive_is_rewritten_a_second_run_ends_it(shop, tmp_path, when):
    program = [
        sys.executable,
        "-c",
        textwrap.dedent(KILLED),
        str(tmp_path / "desireline.toml"),
        when,
    ]
    died = subprocess.run(program, check=False, capture_output=True, env=dict(os.environ))
    assert died.returncode == -9, died.stderr
    report = erase(shop, "client", "ann-1")
    assert report.found == {"before": 4, "after": 0}[when]
    assert archived(shop).height == len(PEOPLE) - 1
    pull_sessions(shop.parts(TARGET))
    assert archived(shop).height == len(PEOPLE) - 1
