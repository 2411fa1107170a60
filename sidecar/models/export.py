"""A registered model as a folder for others: its files, its manifest, its card."""

import shutil
import tempfile
from pathlib import Path

from desireline.sidecar.errors import SidecarError
from desireline.sidecar.models.card import model_card
from desireline.sidecar.models.records import ModelRecord
from desireline.trainer.models.disk_sync import sync
from desireline.trainer.models.manifest import MANIFEST, Manifest
from desireline.trainer.models.signing import signatures_in
from desireline.trainer.registry import Registry

CARD = "README.md"
#: Holds the int8 form of the model, where one is registered.
INT8 = "int8"


def export_model(registry: Registry, record: ModelRecord, folder: Path) -> None:
    """Copy a model and its card into a new folder; whole or not at all.

    Raises:
        ModelChangedError: a file is not as it was registered; nothing was written.
        SidecarError: the folder is there already, or cannot be written.

    """
    fingerprint = record.manifest.fingerprint
    forms = {"": registry.verify(fingerprint)}
    if int8 := registry.int8_of(fingerprint):
        forms[INT8] = registry.verify(int8)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists() or folder.is_symlink():
            raise FileExistsError(None, "it is there already")
        # A name that nobody else has: two exports at once mix nothing, and nothing is removed.
        with tempfile.TemporaryDirectory(
            prefix=f".{folder.name[:100]}-", dir=folder.parent, ignore_cleanup_errors=True
        ) as beside:
            whole = Path(beside, "whole")
            for name, manifest in forms.items():
                _copy(registry, manifest, whole / name)
            (whole / CARD).write_text(model_card(record), encoding="utf-8")
            sync(whole)
            whole.rename(folder)
    except OSError as error:
        raise SidecarError(
            f"the model {fingerprint[:12]} cannot be written to {folder}:"
            f" {error.strerror or error}; nothing was written",
            next_step="name a folder that is not there yet, on a disk with room",
        ) from error


def _copy(registry: Registry, manifest: Manifest, folder: Path) -> None:
    model = registry.folder(manifest.fingerprint)
    for name in (*manifest.files, MANIFEST, *signatures_in(model)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model / name, folder / name)
