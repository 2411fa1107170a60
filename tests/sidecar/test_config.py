"""One file, checked whole."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desireline.connectors.documents import TextTemplate
from desireline.sidecar.config import child_environment, load_config, parse_config
from desireline.sidecar.config_reference import commented_file, config_fields
from desireline.sidecar.configuration.errors import ConfigError
from desireline.sidecar.errors import TargetUnknownError

SMALLEST = {"index": "products", "text": ["title"]}

LOG_KINDS = "files, opensearch_index, ubi"


def parsed(folder: Path = Path("/etc/desireline"), **tables: Any):
    tables.setdefault("targets", {"products": SMALLEST})
    return parse_config(tables, source="desireline.toml", folder=folder)


def complaint(**tables: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parsed(**tables)
    return str(caught.value).splitlines()


def target(**fields: Any) -> dict[str, Any]:
    return {"products": SMALLEST | fields}


def test_the_smallest_file_is_an_index_and_a_text_field(tmp_path: Path) -> None:
    path = tmp_path / "desireline.toml"
    path.write_text('[targets.products]\nindex = "products"\ntext = ["title"]\n')
    config = load_config(path)
    assert config.cluster.engine == "lancedb"
    assert config.target("products").vector == "embedding"
    assert config.index_dir == tmp_path / "desireline-data" / "index"


def test_text_fields_become_a_template_in_order_and_boosts() -> None:
    found = parsed(targets=target(text=["title^2", "brand.name", "body^0.5"])).target("products")
    assert found.template == TextTemplate(fields=("title", "brand.name", "body"))
    assert found.boosts == (("title", 2.0), ("brand.name", 1.0), ("body", 0.5))


def test_every_wrong_field_is_named_at_once_with_what_was_expected() -> None:
    lines = complaint(
        server={"port": 99999},
        cluster={"url": "htp://x"},
        targets={"products": {"text": ["title^x"], "tune": {"shedule": "0 2 * * *"}}},
    )
    assert lines == [
        'desireline.toml: cluster.url: expected an address such as "https://search.example.org:9200"'
        "; found 'htp://x'",
        "desireline.toml: server.port: expected less than or equal to 65535; found 99999",
        "desireline.toml: targets.products.index: missing; expected the index, or an alias of one",
        "desireline.toml: targets.products.text.0: 'title^x' is not a text field; expected a name,"
        " or a name with a boost above 0 such as \"title^2\"; found 'title^x'",
        "desireline.toml: targets.products.tune.shedule: unknown key; did you mean 'schedule'?",
    ]


@pytest.mark.parametrize(
    ("tables", "place", "says"),
    [
        ({"clusterr": {}}, "clusterr", "did you mean 'cluster'"),
        ({"version": 2}, "version", "expected 1"),
        ({"targets": {}}, "targets", "at least one"),
        ({"targets": {"Products": SMALLEST}}, "targets.Products", "lower-case"),
        ({"targets": target(index="Products")}, "targets.products.index", "lower case"),
        ({"targets": target(index="a,b")}, "targets.products.index", "expected an index"),
        ({"targets": target(index="-a")}, "targets.products.index", "expected an index"),
        ({"targets": target(text=[])}, "targets.products.text", "at least one"),
        ({"targets": target(text="title")}, "targets.products.text", "found 'title'"),
        ({"targets": target(text=["a", "a^2"])}, "targets.products", "twice"),
        ({"targets": target(text=["_id"])}, "targets.products.text.0", "not a text field"),
        ({"targets": target(text=["a^0"])}, "targets.products.text.0", "boost above 0"),
        ({"targets": target(text=["a^inf"])}, "targets.products.text.0", "boost above 0"),
        ({"targets": target(vector="title")}, "targets.products", "also a text field"),
        ({"targets": target(vector="e__a")}, "targets.products.vector", "two slots"),
        ({"targets": target(model=" ")}, "targets.products.model", "Hugging Face id"),
        ({"targets": target(similarity="l2")}, "targets.products.similarity", "cosine"),
        ({"targets": target(swap={"hold": "soon"})}, "swap.hold", "30s, 15m, 12h or 2d"),
        ({"targets": target(swap={"hold": -1})}, "swap.hold", "30s, 15m, 12h or 2d"),
        ({"targets": target(tune={"schedule": "nightly"})}, "tune.schedule", "it has 1 fields"),
        ({"targets": target(tune={"schedule": "0 25 * * *"})}, "tune.schedule", "cron line"),
        ({"targets": target(tune={"schedule": "0 2 1 * 1"})}, "tune.schedule", "one of them"),
        ({"targets": target(tune={"timezone": "Mars"})}, "tune.timezone", "Europe/Berlin"),
        ({"targets": target(tune={"timezone": "../etc"})}, "tune.timezone", "Europe/Berlin"),
        ({"targets": target(tune={"click_model": "x"})}, "tune.click_model", "pbm"),
        ({"targets": target(tune={"miners": ["x"]})}, "tune.miners.0", "skipped_above"),
        ({"targets": target(tune={"fit": {"seed": 1}})}, "tune", "tune.seed"),
        ({"targets": target(tune={"mode": "huge"})}, "tune.mode", "'auto'"),
        ({"targets": target(tune={"modes": []})}, "tune.modes", "at least one"),
        ({"targets": target(tune={"modes": ["huge"]})}, "tune.modes.0", "'adapter'"),
        ({"targets": target(gate={"measure": "x@1"})}, "gate.measure", "found 'x@1'"),
        ({"cluster": {"engine": "opensearch"}}, "cluster", "needs url"),
        ({"cluster": {"engine": "lancedb", "url": "http://x"}}, "cluster", "takes path"),
        ({"cluster": {"url": "http://u:p@x"}}, "cluster.url", "cluster.auth"),
        ({"cluster": {"url": "http://x:99999"}}, "cluster.url", "expected an address"),
        ({"cluster": {"auth": {"kind": "basic"}}}, "cluster.auth", "needs user"),
        ({"cluster": {"auth": {"kind": "basic", "user": "u"}}}, "cluster.auth", "password_env"),
        ({"cluster": {"auth": {"kind": "api_key"}}}, "cluster.auth", "key_env"),
        ({"targets": target(logs={})}, "products.logs", LOG_KINDS),
        (
            {"targets": target(logs={"kind": "kafka"})},
            "products.logs",
            LOG_KINDS,
        ),
        ({"targets": target(logs={"kind": "ubi", "windw": "60d"})}, "logs.windw", "'window'"),
        ({"targets": target(logs={"kind": "files"})}, "logs.path", "missing; expected a file"),
        ({"server": {"host": "0.0.0.0"}}, "server", "reachable from other machines"),
        ({"server": {"tls_key": "k.pem"}}, "server", "belong together"),
    ],
)
def test_each_wrong_field_is_named_by_its_place(
    tables: dict[str, Any], place: str, says: str
) -> None:
    lines = complaint(**tables)
    assert any(f"{place}: " in line and says in line for line in lines), lines


def test_a_password_in_the_url_is_never_repeated() -> None:
    (line,) = complaint(cluster={"url": "http://admin:hunter2@x"})
    assert "hunter2" not in line


def test_a_password_under_an_unknown_key_is_never_repeated() -> None:
    lines = complaint(cluster={"url": "http://x", "auth": {"password": "hunter2"}})
    assert "hunter2" not in "\n".join(lines)


def test_relative_paths_are_read_from_the_folder_of_the_file() -> None:
    config = parsed(
        data_dir="data",
        cluster={"url": "http://x", "ca_certs": "ca.pem"},
        targets=target(
            model="./models/mine",
            gate={"golden": "golden.tsv"},
            tune={"fit": {"replay": 0.5, "replay_texts": "general.txt"}},
            logs={"kind": "files", "path": ["clicks/*.ndjson", "s3://bucket/clicks.csv"]},
        ),
    )
    assert config.models_dir == Path("/etc/desireline/data/models")
    assert config.cluster.ca_certs == Path("/etc/desireline/ca.pem")
    assert config.target("products").model == "/etc/desireline/models/mine"
    assert config.target("products").gate.golden == Path("/etc/desireline/golden.tsv")
    fit = config.target("products").tune.fit_config
    assert fit.replay_texts == Path("/etc/desireline/general.txt")
    assert config.target("products").logs.path == (
        "/etc/desireline/clicks/*.ndjson",
        "s3://bucket/clicks.csv",
    )


def test_a_hugging_face_id_is_not_taken_for_a_path() -> None:
    config = parsed(targets=target(model="intfloat/e5-small-v2"))
    assert config.target("products").model == "intfloat/e5-small-v2"


def test_a_url_means_opensearch_and_no_url_means_the_embedded_engine() -> None:
    assert parsed(cluster={"url": "https://x:9200/"}).cluster.url == "https://x:9200"
    assert parsed(cluster={"url": "https://x"}).cluster.engine == "opensearch"
    assert parsed().cluster.engine == "lancedb"


def test_the_budget_and_the_seed_of_tune_are_those_of_the_fit() -> None:
    tune = parsed(targets=target(tune={"budget": "90m", "seed": 3})).target("products").tune
    assert (tune.fit_config.budget_s, tune.fit_config.seed) == (5400.0, 3)


def test_a_password_comes_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCH_PASSWORD", "hunter2")
    auth = {"kind": "basic", "user": "u"}
    by_name = parsed(
        cluster={"url": "http://x", "auth": auth | {"password_env": "SEARCH_PASSWORD"}}
    )
    assert by_name.cluster.auth.password() == "hunter2"
    (tmp_path / "secret").write_text("hunter3\n")
    by_file = parsed(
        tmp_path, cluster={"url": "http://x", "auth": auth | {"password_file": "secret"}}
    )
    assert by_file.cluster.auth.password() == "hunter3"


def test_a_secret_that_is_not_set_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEARCH_PASSWORD", raising=False)
    auth = {"kind": "basic", "user": "u", "password_env": "SEARCH_PASSWORD"}
    config = parsed(cluster={"url": "http://x", "auth": auth})
    with pytest.raises(ConfigError, match="SEARCH_PASSWORD is not set"):
        config.cluster.auth.password()


def test_a_child_process_sees_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESIRELINE_PASSWORD", "hunter2")
    monkeypatch.setenv("HF_HOME", "/models")
    environment = child_environment()
    assert environment["HF_HOME"] == "/models"
    assert "DESIRELINE_PASSWORD" not in environment


def test_an_unknown_target_names_the_configured_ones() -> None:
    with pytest.raises(TargetUnknownError, match="'shop'; configured: products"):
        parsed().target("shop")


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration file") as caught:
        load_config(tmp_path / "desireline.toml")
    assert "desireline init" in caught.value.next_step


@pytest.mark.parametrize("content", [b"[targets\n", b"a = 1\na = 2\n", b"\xff\xfe\x00"])
def test_a_file_that_is_not_toml_says_where(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "desireline.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"desireline\.toml"):
        load_config(path)


def test_a_folder_in_place_of_the_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


def test_every_field_says_what_it_means() -> None:
    silent = [field.path for field in config_fields() if not field.description]
    assert silent == []


def test_a_written_file_loads_and_holds_every_field(tmp_path: Path) -> None:
    values = {"targets.<name>.index": "products", "targets.<name>.text": ["title^2"]}
    path = tmp_path / "desireline.toml"
    path.write_text(commented_file(values, target="products"))
    assert load_config(path).target("products").boosts == (("title", 2.0),)
    assert all(f"{field.name} = " in path.read_text() for field in config_fields())


def test_every_default_in_a_written_file_is_the_real_default(tmp_path: Path) -> None:
    values = {"targets.<name>.index": "products", "targets.<name>.text": ["title"]}
    text = commented_file(values, target="products")
    given = [field.name for field in config_fields() if field.default is not None]
    uncommented = []
    for line in text.splitlines():
        commented = line.removeprefix("#: ")
        is_next = bool(given) and commented.startswith(f"{given[0]} = ")
        uncommented.append(commented if is_next else line)
        given = given[is_next:]
    assert given == []
    path = tmp_path / "desireline.toml"
    path.write_text("\n".join(uncommented))
    silent = tmp_path / "silent.toml"
    silent.write_text(text)
    assert load_config(path) == load_config(silent)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
        ),
        max_leaves=6,
    )
)
def test_whatever_stands_in_a_file_is_answered_by_sentences(junk: object) -> None:
    for tables in ({"targets": junk}, {"cluster": junk}, {"targets": {"products": junk}}):
        try:
            parsed(**tables)
        except ConfigError as error:
            said = str(error)
        else:
            said = "desireline.toml: right"
        assert said.startswith("desireline.toml: ")


@pytest.mark.parametrize(
    ("tune", "tried"),
    [
        ({}, ("adapter", "query", "lora", "full")),
        ({"modes": ["full", "adapter", "full"]}, ("adapter", "full")),
        ({"mode": "query", "modes": ["full"]}, ("query",)),
        ({"mode": "small"}, ("small",)),
    ],
)
def test_whoever_sets_no_mode_gets_the_ladder_cheapest_first(tune, tried):
    assert parsed(targets=target(tune=tune)).target("products").tune.tried == tried
