"""A model from a folder of the user's: safetensors alone, no network, none of its code."""

import hashlib
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from desireline.trainer.errors import UnsafeModelError
from desireline.trainer.model_settings import refuse_code

#: Files that decide what a model says.
_DECIDING = {".json", ".model", ".safetensors", ".txt"}


def load_local(folder: Path, architecture: Any, what: str) -> tuple[Any, Any]:
    """Return the tokenizer and the model, ready to be asked.

    Args:
        folder: with config.json, a tokenizer and safetensors.
        architecture: one of transformers' `AutoModelFor…`.
        what: it is, for whoever reads the error.

    Raises:
        UnsafeModelError: the folder holds no model that can be loaded without running its code,
            or opening a pickle, or one that was never trained to be this.

    """
    refuse_code(folder)
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **safe)
        model, told = architecture.from_pretrained(
            str(folder), use_safetensors=True, output_loading_info=True, **safe
        )
    except Exception as error:  # loaders of many families, no common class
        raise UnsafeModelError(
            f"{folder} cannot be loaded as a {what}: {error}; nothing was read or written",
            next_step="name a folder with config.json, a tokenizer and safetensors",
        ) from error
    if absent := sorted(told["missing_keys"]):
        raise UnsafeModelError(
            f"{folder} is no trained {what}: its weights lack {absent[0]}, which would be drawn by"
            " chance; nothing was read or written",
            next_step=f"name a folder whose model was trained as a {what}",
        )
    return tokenizer, model.eval()


def fingerprint_of(folder: Path) -> str:
    """Return the SHA-256 over the names and bytes of a model's files."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in _DECIDING:
            with path.open("rb") as file:
                total.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
