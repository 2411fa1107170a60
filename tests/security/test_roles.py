"""On a cluster with its security plugin: the roles we ship suffice, and what they lack is named."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from desireline.connectors.documents import Document
from desireline.connectors.errors import AuthenticationError, EngineUnavailableError
from desireline.sidecar.config import parse_config
from desireline.sidecar.errors import BackfillError
from desireline.sidecar.operations import Sidecar
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.wiring import open_sidecar

pytestmark = pytest.mark.opensearch

ROLES = json.loads(
    (Path(__file__).parents[2] / "docker" / "opensearch-roles.json").read_text(encoding="utf-8")
)
DOCUMENTS = [Document(document_id=f"d{n}", fields={"title": f"red shoe {n}"}) for n in range(7)]


@pytest.fixture(params=["slots", "new_index"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shop(secured_node, tmp_path, tiny_static, monkeypatch) -> Iterator[Any]:
    """Open a sidecar on the index `products` as any user."""

    @contextmanager
    def open_as(user: tuple[str, str], **cluster: Any) -> Iterator[Sidecar]:
        monkeypatch.setenv("DESIRELINE_PASSWORD", user[1])
        config = parse_config(
            {
                "cluster": {
                    "url": secured_node.url,
                    "auth": {
                        "kind": "basic",
                        "user": user[0],
                        "password_env": "DESIRELINE_PASSWORD",
                    },
                    "ca_certs": str(secured_node.ca_file),
                    **cluster,
                },
                "data_dir": str(tmp_path / "data"),
                "targets": {
                    "products": {
                        "index": "products",
                        "text": ["title"],
                        "model": str(tiny_static),
                        "swap": {"replica_wait": "1s", "lease_ttl": "30s"},
                    }
                },
            },
            source="test",
            folder=tmp_path,
        )
        with closing(open_sidecar(config)) as sidecar:
            yield sidecar

    with open_as(("admin", "admin")) as owner:
        owner.parts("products").engine.create_index("products-v1", ["title"])
        secured_node.call(
            "POST",
            "/_aliases",
            {"actions": [{"add": {"index": "products-v1", "alias": "products"}}]},
        )
        owner.parts("products").engine.index_documents("products", DOCUMENTS)
    yield open_as
    _, indexes = secured_node.call("GET", "/_cat/indices?format=json&expand_wildcards=all")
    for name in (each["index"] for each in indexes):
        if name.startswith(("products", ".desireline")):
            secured_node.call("DELETE", f"/{name}")


def role(way: str) -> dict[str, Any]:
    return dict(ROLES[f"desireline_{way}"])


def test_the_role_we_ship_for_a_way_suffices_to_go_there_and_back(shop, secured_node, way) -> None:
    with shop(secured_node.add_user(f"tuner-{way}", role(way))) as sidecar:
        sidecar.reindex("products", None, SilentReporter(), way="slot")
        wanted = {"slots": "slot", "new_index": "index"}[way]
        sidecar.reindex("products", None, SilentReporter(), way=wanted, end_hold=True)
        live, hits = sidecar.search("products", "red shoe", 3)
        assert (live.number, len(hits)) == (2, 3)
        assert "generation 1 is live" in sidecar.revert("products")


@pytest.mark.parametrize(
    "hidden",
    [
        {"dls": json.dumps({"term": {"title": "red"}})},
        {"fls": ["~price"]},
    ],
    ids=["document-level", "field-level"],
)
def test_a_role_that_hides_documents_or_fields_is_refused_before_anything_is_written(
    shop, secured_node, hidden
) -> None:
    """A partial update by such a role would fail, or lose what the role cannot see."""
    narrow = role("slots")
    narrow["index_permissions"][0] = {**narrow["index_permissions"][0], **hidden}
    name = "narrow-" + next(iter(hidden))
    with shop(secured_node.add_user(name, narrow)) as sidecar:
        refused = sidecar.plan("products", None, way="slot").refusals
        assert any("a trial write" in sentence for sentence in refused), refused
        with pytest.raises(BackfillError, match="a trial write"):
            sidecar.reindex("products", None, SilentReporter(), way="slot")
        _, mapping = secured_node.call("GET", "/products/_mapping")
        assert set(mapping["products-v1"]["mappings"]["properties"]) == {"title"}


def test_a_missing_permission_is_named_before_anything_is_written(shop, secured_node) -> None:
    reader = role("slots")
    actions = reader["index_permissions"][0]["allowed_actions"]
    reader["index_permissions"][0] = {
        **reader["index_permissions"][0],
        "allowed_actions": [action for action in actions if "write" not in action],
    }
    with shop(secured_node.add_user("reader", reader)) as sidecar:
        refused = sidecar.plan("products", None, way="slot").refusals
        assert any("indices:data/write" in sentence for sentence in refused), refused


def test_a_wrong_password_is_one_sentence(shop, secured_node) -> None:
    with shop(("admin", "wrong")) as sidecar, pytest.raises(AuthenticationError) as told:
        sidecar.plan("products", None)
    assert "does not accept this user and password" in str(told.value)
    assert "wrong" not in str(told.value).replace("wrong password", "")


def test_a_certificate_nobody_vouches_for_is_refused(shop, secured_node) -> None:
    with (
        shop(("admin", "admin"), ca_certs=None) as sidecar,
        pytest.raises(EngineUnavailableError, match="certificate"),
    ):
        sidecar.plan("products", None)
