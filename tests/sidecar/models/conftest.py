"""Encoders of a registry: the same files under other templates."""

from collections.abc import Callable
from pathlib import Path

import pytest

from desireline.connectors.documents import TextTemplate
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.registry import Registry


@pytest.fixture
def added() -> Callable[..., str]:
    """Register the same files under another template: another fingerprint, which is returned."""

    def add(registry: Registry, folder: Path, field: str, **made: object) -> str:
        return registry.add(
            folder,
            template=TextTemplate(fields=(field,)),
            similarity="cosine",
            provenance=Provenance(base_model="tiny", **made),
        ).fingerprint

    return add
