"""Models that come here from elsewhere, and go there."""

from collections.abc import Sequence
from pathlib import Path

from desireline.connectors.state_store import StateStore
from desireline.sidecar.models.sharing import Sharing, in_use, share
from desireline.trainer.errors import TrainerError
from desireline.trainer.models.manifest import Manifest
from desireline.trainer.registry import Registry


class ModelExchange:
    """What one sidecar shares, takes and proves of its models."""

    def __init__(self, store: StateStore, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        #: Models that are surely in the shared registry.
        self._shared: set[str] = set()

    def share(self) -> list[Sharing]:
        """Share what serves, or may, and is not known to be shared; never raises for a model."""
        waiting = in_use(self._store) - self._shared
        done = share(self._registry, waiting) if waiting else []
        self._shared |= {each.fingerprint for each in done if not each.failed}
        return done

    def push(self, names: Sequence[str]) -> list[Sharing]:
        """Share and sign these models; all that serve, or may, where none is named."""
        wanted = [self._registry.resolve(name) for name in names] or in_use(self._store)
        return share(self._registry, wanted, vouch=True)

    @property
    def place(self) -> str:
        """Address of the shared registry; empty without one."""
        return self._registry.shared.name if self._registry.shared else ""

    def fingerprints(self) -> list[str]:
        """Return what the shared registry has folders for. Raises SharedFolderError."""
        return self._registry.shared.fingerprints() if self._registry.shared else []

    def manifests(self) -> list[Manifest]:
        """Return what the shared registry holds whole, oldest first. Raises SharedFolderError."""
        return self._registry.shared.manifests() if self._registry.shared else []

    def pull(self, name: str) -> Manifest:
        """Bring a model, and the one that embeds its documents; a damaged one is replaced."""
        manifest = self._registry.bring(self._registry.resolve(name))
        if manifest.documents is not None:
            self._registry.get(manifest.documents)
        return manifest

    def take(self, folder: Path) -> Manifest:
        """Register a folder that an export wrote, as what it is."""
        return self._registry.take(folder)

    def verify(self, names: Sequence[str]) -> dict[str, str]:
        """Read every file of these models again, or of all: what is wrong with each, or nothing."""
        wanted = [self._registry.resolve(name) for name in names] or self._registry.names()
        return {fingerprint: self._wrong_with(fingerprint) for fingerprint in wanted}

    def _wrong_with(self, fingerprint: str) -> str:
        try:
            self._registry.verify(fingerprint)
        except TrainerError as error:
            return str(error)
        return ""
