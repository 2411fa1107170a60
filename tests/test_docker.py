"""The images cannot be built everywhere; what they are made of can be checked everywhere."""

import tomllib
from pathlib import Path

import yaml

from desireline.sidecar.config import load_config
from desireline.sidecar.demo.opensearch_home import VERSION

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()


def test_compose_starts_the_opensearch_that_the_tests_run_on() -> None:
    assert COMPOSE["services"]["opensearch"]["image"] == f"opensearchproject/opensearch:{VERSION}"


def test_compose_publishes_on_this_machine_only() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service["ports"]]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_images_extras_are_extras_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [
        *COMPOSE["services"]["sidecar"]["build"]["args"]["EXTRAS"].split(),
        *DOCKERFILE.split('ARG EXTRAS="')[1].split('"')[0].split(),
    ]
    assert named
    assert set(named) <= set(project["optional-dependencies"])


def test_the_shipped_configuration_is_valid_and_fits_the_image() -> None:
    config = load_config(ROOT / "docker" / "desireline.toml")
    assert (config.cluster.engine, str(config.data_dir)) == ("opensearch", "/data")
    assert f"EXPOSE {config.server.port}" in DOCKERFILE
    assert f"127.0.0.1:{config.server.port}/healthz" in DOCKERFILE


def test_the_image_does_not_run_as_root() -> None:
    assert DOCKERFILE.rstrip().splitlines()[-1] == 'CMD ["serve"]'
    assert "\nUSER 10001\n" in DOCKERFILE.split("FROM ")[-1]
