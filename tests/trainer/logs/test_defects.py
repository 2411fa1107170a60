import re
from pathlib import Path

from desireline.connectors.logs.files import FileLogs, FileLogsConfig
from desireline.trainer.logs.defects import Effect, explain, is_known
from desireline.trainer.sessions import to_sessions

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "tests" / "data" / "esci_ubi" / "ubi_queries_events.ndjson.gz"


def named_in_code() -> set[str]:
    """Every name under which a log source or the joining counts a defect."""
    files = [*ROOT.glob("connectors/**/*.py"), *ROOT.glob("trainer/**/*.py")]
    code = "\n".join(file.read_text() for file in files)
    plain = set(re.findall(r'defects\[\s*"([^"{]+)"\s*\]', code))
    of_two = {
        f"{what}{rest}"
        for rest in re.findall(r'defects\[f"\{what\}([^"{]+)"\]', code)
        for what in ("query", "event")
    }
    return plain | of_two


def test_every_defect_that_our_code_names_is_explained():
    named = named_in_code()
    assert {"duplicate events", "event without a time", "broken line"} <= named
    assert [name for name in sorted(named) if not is_known(name)] == []


def test_every_defect_of_the_public_sample_is_explained_with_its_count():
    health = to_sessions(FileLogs(FileLogsConfig(path=str(SAMPLE))).pull()).health
    told = {each.name: each for each in health.explained()}
    assert told["events of unknown queries"].count == 120
    assert told["events of unknown queries"].effect is Effect.LOST
    assert all(each.means and each.mend for each in told.values())


def test_one_defect_that_two_stages_count_is_told_once_by_the_larger_count():
    (told,) = explain({"query without text": 6, "queries without text": 4})
    assert (told.name, told.count) == ("queries without text", 6)


def test_what_is_lost_comes_first_and_then_the_more_frequent():
    told = explain(
        {
            "duplicate events": 9,
            "broken line": 1,
            "events without query_id": 2,
            "clicks without position": 99,
            "a plugin's own": 1000,
        }
    )
    assert [each.name for each in told] == [
        "events without query_id",
        "broken line",
        "clicks without position",
        "duplicate events",
        "a plugin's own",
    ]


def test_a_defect_of_a_plugin_is_told_without_an_explanation():
    (told,) = explain({"moon in the wrong phase": 3})
    assert (told.name, told.count, told.means, told.mend) == ("moon in the wrong phase", 3, "", "")


def test_a_defect_that_does_not_occur_is_not_told():
    assert explain({"broken line": 0}) == ()
