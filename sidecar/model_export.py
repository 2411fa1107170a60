"""A registered model as a folder for others: its files, its manifest, its card."""

import shutil
from pathlib import Path

from desireline.sidecar.errors import SidecarError
from desireline.sidecar.model_card import model_card
from desireline.sidecar.model_records import ModelRecord
from desireline.trainer.manifest import MANIFEST, Manifest
from desireline.trainer.registry import Registry
from desireline.trainer.signing import signatures_in

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
    beside = folder.with_name(f"{folder.name}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            raise FileExistsError(None, "it is there already")
        shutil.rmtree(beside, ignore_errors=True)
        for name, manifest in forms.items():
            _copy(registry, manifest, beside / name)
        (beside / CARD).write_text(model_card(record), encoding="utf-8")
        beside.rename(folder)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
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
