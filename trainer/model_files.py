"""What a model folder may consist of; everything else is refused before a library opens it."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from desireline.trainer.errors import UnsafeModelError
from desireline.trainer.model_settings import (
    MODULE_FOLDER,
    MODULES,
    TOKENIZER,
    VOCABULARY,
    WEIGHTS,
    WEIGHTS_INDEX,
    check_settings,
    refusal,
)

#: The exported graph: text ids in, one embedding per text out.
GRAPH = "encoder.onnx"
#: What an exported encoder needs to know beside its graph and its tokenizer.
SETTINGS = "encoder.json"
#: Files that make a model and are copied with it; weights (`*.safetensors`) come on top.
MODEL_FILES = frozenset(
    {
        MODULES,
        GRAPH,
        SETTINGS,
        TOKENIZER,
        "added_tokens.json",
        "config.json",
        "config_sentence_transformers.json",
        "merges.txt",
        WEIGHTS_INDEX,
        "sentence_bert_config.json",
        "sentencepiece.bpe.model",
        "special_tokens_map.json",
        "spiece.model",
        "tokenizer_config.json",
        VOCABULARY,
        "vocab.txt",
    }
)
#: Harmless neighbours: they may lie there and are never copied.
IGNORED_SUFFIXES = frozenset({".json", ".md", ".onnx", ".png", ".jpg", ".txt"})
IGNORED_NAMES = frozenset({".gitattributes", ".gitignore", "LICENSE", "NOTICE"})
#: Formats that are, or may hold, programs, and what each usually is.
PROGRAMS = {
    ".bin": "pickled weights",
    ".ckpt": "pickled weights",
    ".h5": "weights with embedded code",
    ".joblib": "a pickle",
    ".npy": "a possible pickle",
    ".npz": "a possible pickle",
    ".pickle": "a pickle",
    ".pkl": "a pickle",
    ".pt": "pickled weights",
    ".pth": "pickled weights",
    ".py": "Python code",
    ".so": "machine code",
}


def check(folder: Path) -> tuple[str, ...]:
    """Names of the files that make the model, relative to the folder, sorted.

    Raises:
        UnsafeModelError: a file that could run code, a link, an unknown kind, a setting that
            names code, or nothing to load; the message names it.

    """
    if not folder.is_dir():
        raise UnsafeModelError(
            f"the model folder {folder} does not exist",
            next_step="name a folder that holds modules.json and model.safetensors, "
            "or a Hugging Face id such as sentence-transformers/all-MiniLM-L6-v2",
        )
    names = tuple(sorted(name for name in _walk(folder) if _belongs(folder, name)))
    _check_complete(folder, names)
    for name in names:
        _check_content(folder / name)
    return names


def is_model_file(name: str) -> bool:
    """Whether a file of this name, relative to a model's folder, is a part of a model."""
    parent, _, last = name.rpartition("/")
    known = last in MODEL_FILES or WEIGHTS.fullmatch(last)
    return bool(known) and (not parent or MODULE_FOLDER.fullmatch(parent) is not None)


def copy(folder: Path, target: Path) -> tuple[str, ...]:
    """Copy a checked model and nothing else into an existing folder; the copied names."""
    names = check(folder)
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target / name, follow_symlinks=False)
    return names


def _walk(folder: Path) -> Iterator[str]:
    """Every file below, without hidden folders such as `.git` and `.cache`; links are refused."""
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted(folders + files):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise refusal(path, "is a link or a special file", "put a plain copy in its place")
            if stat.S_ISREG(mode):
                yield path.relative_to(folder).as_posix()


def _belongs(folder: Path, name: str) -> bool:
    """Whether a file is part of the model; refuse what may not even lie beside it."""
    path = folder / name
    suffix = path.suffix.lower()
    if suffix in PROGRAMS:
        raise refusal(
            path,
            f"is {PROGRAMS[suffix]} and could run code",
            "delete it; if it holds the weights, save them as safetensors first",
        )
    if path.name == "adapter_config.json":
        raise refusal(
            path, "is an adapter without its encoder", "merge it into the encoder and save that"
        )
    if suffix == ".safetensors" or path.name in MODEL_FILES:
        parent = path.parent.relative_to(folder).as_posix()
        return parent == "." or MODULE_FOLDER.fullmatch(parent) is not None
    if suffix in IGNORED_SUFFIXES or path.name in IGNORED_NAMES:
        return False
    raise refusal(path, "is of an unknown kind", "delete it if the model does not need it")


def _check_complete(folder: Path, names: tuple[str, ...]) -> None:
    exported = {GRAPH, SETTINGS, TOKENIZER} <= set(names)
    trained = MODULES in names and any(name.endswith(".safetensors") for name in names)
    if not exported and not trained:
        raise UnsafeModelError(
            f"{folder} holds no loadable model: neither {MODULES} with safetensors weights "
            f"nor {GRAPH} with {SETTINGS} and {TOKENIZER}",
            next_step="save it as safetensors with the installed sentence-transformers",
        )


def _check_content(path: Path) -> None:
    if path.suffix == ".safetensors":
        _check_safetensors(path)
    elif path.suffix == ".json":
        check_settings(path)


def _check_safetensors(path: Path) -> None:
    try:
        with safe_open(path, framework="np") as weights:
            weights.keys()
    except (SafetensorError, OSError) as error:
        raise refusal(
            path, f"is not a safetensors file ({error})", "fetch or save it again"
        ) from error
