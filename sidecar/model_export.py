"""A registered model as a folder for others: its files, its manifest, its card."""

import shutil
from pathlib import Path

from desireline.sidecar.errors import SidecarError
from desireline.sidecar.model_card import model_card
from desireline.sidecar.model_records import ModelRecord
from desireline.trainer.manifest import MANIFEST
from desireline.trainer.registry import Registry
from desireline.trainer.signing import signatures_in

CARD = "README.md"


def export_model(registry: Registry, record: ModelRecord, folder: Path) -> None:
    """Copy a model and its card into a new folder; whole or not at all.

    Raises:
        ModelChangedError: a file is not as it was registered; nothing was written.
        SidecarError: the folder is there already, or cannot be written.

    """
    fingerprint = record.manifest.fingerprint
    registry.verify(fingerprint)
    beside = folder.with_name(f"{folder.name}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            raise FileExistsError(None, "it is there already")
        shutil.rmtree(beside, ignore_errors=True)
        model = registry.folder(fingerprint)
        for name in (*record.manifest.files, MANIFEST, *signatures_in(model)):
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model / name, beside / name)
        (beside / CARD).write_text(model_card(record), encoding="utf-8")
        beside.rename(folder)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise SidecarError(
            f"the model {fingerprint[:12]} cannot be written to {folder}:"
            f" {error.strerror or error}; nothing was written",
            next_step="name a folder that is not there yet, on a disk with room",
        ) from error
