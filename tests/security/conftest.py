"""One secured node for the session."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def secured_node() -> Iterator[Any]:
    """A node with TLS, users and roles."""
    spec = importlib.util.spec_from_file_location(
        "secured_node", Path(__file__).parent / "secured_node.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["secured_node"] = module
    spec.loader.exec_module(module)
    named = os.environ.get("OPENSEARCH_JAVA_HOME")
    with module.secured_node(Path(named) if named else None) as node:
        yield node
