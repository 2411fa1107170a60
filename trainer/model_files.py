"""What a model folder may consist of; everything else is refused before a library opens it."""

import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from desireline.trainer.errors import UnsafeModelError

MODULES = "modules.json"
#: The exported graph: text ids in, one embedding per text out.
GRAPH = "encoder.onnx"
#: What an exported encoder needs to know beside its graph and its tokenizer.
SETTINGS = "encoder.json"
TOKENIZER = "tokenizer.json"
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
        "model.safetensors.index.json",
        "sentence_bert_config.json",
        "sentencepiece.bpe.model",
        "special_tokens_map.json",
        "spiece.model",
        "tokenizer_config.json",
        "vocab.json",
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
#: Encoders that transformers itself implements.
ARCHITECTURES = frozenset(
    {
        "albert",
        "bert",
        "camembert",
        "distilbert",
        "electra",
        "modernbert",
        "mpnet",
        "roberta",
        "xlm-roberta",
    }
)
MODULE_TYPE = re.compile(
    r"sentence_transformers\.[a-z_.]+\.(Transformer|Pooling|Normalize|Dense|StaticEmbedding)"
)
MODULE_FOLDER = re.compile(r"\d{1,2}_[A-Za-z]{1,40}")
ACTIVATION = re.compile(r"torch\.nn\.modules\.(activation\.[A-Za-z]+|linear\.Identity)")
#: JSON keys through which a library fetches or runs code, and the values that are harmless.
DANGEROUS_KEYS: Mapping[str, tuple[object, ...]] = {
    "_attn_implementation": (None, "eager", "sdpa"),
    "_attn_implementation_internal": (None, "eager", "sdpa"),
    "attn_implementation": (None, "eager", "sdpa"),
    "auto_map": (None,),
    "base_model_name_or_path": (None,),
    "code_revision": (None,),
    "custom_generate": (None,),
    "custom_pipelines": (None,),
    "experts_implementation": (None, "eager"),
    "quantization_config": (None,),
    "trust_remote_code": (None, False),
    "use_kernels": (None, False),
}
_MAX_JSON_BYTES = 128 * 1024 * 1024


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
    known = last in MODEL_FILES or re.fullmatch(r"[\w-][\w.-]*\.safetensors", last, re.ASCII)
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
                raise _refusal(path, "is a link or a special file", "put a plain copy in its place")
            if stat.S_ISREG(mode):
                yield path.relative_to(folder).as_posix()


def _belongs(folder: Path, name: str) -> bool:
    """Whether a file is part of the model; refuse what may not even lie beside it."""
    path = folder / name
    suffix = path.suffix.lower()
    if suffix in PROGRAMS:
        raise _refusal(
            path,
            f"is {PROGRAMS[suffix]} and could run code",
            "delete it; if it holds the weights, save them as safetensors first",
        )
    if path.name == "adapter_config.json":
        raise _refusal(
            path, "is an adapter without its encoder", "merge it into the encoder and save that"
        )
    if suffix == ".safetensors" or path.name in MODEL_FILES:
        parent = path.parent.relative_to(folder).as_posix()
        return parent == "." or MODULE_FOLDER.fullmatch(parent) is not None
    if suffix in IGNORED_SUFFIXES or path.name in IGNORED_NAMES:
        return False
    raise _refusal(path, "is of an unknown kind", "delete it if the model does not need it")


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
        content = _read_json(path)
        _check_keys(path, content)
        if path.name == MODULES:
            _check_modules(path, content)
        if path.name == "config.json":
            _check_config(path, content)


def _check_safetensors(path: Path) -> None:
    try:
        with safe_open(path, framework="np") as weights:
            weights.keys()
    except (SafetensorError, OSError) as error:
        raise _refusal(
            path, f"is not a safetensors file ({error})", "fetch or save it again"
        ) from error


def _read_json(path: Path) -> Any:
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise _refusal(path, "is larger than any model's settings", "fetch or save it again")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _refusal(path, f"is not valid JSON ({error})", "fetch or save it again") from error


def _check_keys(path: Path, content: object) -> None:
    if path.name in (TOKENIZER, "vocab.json"):  # data only: token -> id
        return
    remaining = [content]
    while remaining:
        value = remaining.pop()
        if isinstance(value, Mapping):
            for key, harmless in DANGEROUS_KEYS.items():
                if key in value and value[key] not in harmless:
                    raise _refusal(
                        path,
                        f"has {key!r}, by which code from elsewhere would run",
                        "choose an encoder that needs no code of its own",
                    )
            remaining.extend(value.values())
        elif isinstance(value, list):
            remaining.extend(value)


def _check_modules(path: Path, content: object) -> None:
    if not isinstance(content, list) or not content:
        raise _refusal(path, "lists no modules", "fetch or save it again")
    for module in content:
        kind = str(module.get("type", "")) if isinstance(module, Mapping) else ""
        if not MODULE_TYPE.fullmatch(kind):
            raise _refusal(
                path,
                f"names the module {kind!r}, which is not one that desireline runs",
                "choose an encoder made of Transformer, Pooling, Normalize, Dense or "
                "StaticEmbedding",
            )
        place = module.get("path", "")
        if place != "" and not (isinstance(place, str) and MODULE_FOLDER.fullmatch(place)):
            raise _refusal(path, f"sends a module to {place!r}", "fetch or save it again")


def _check_config(path: Path, content: object) -> None:
    if not isinstance(content, Mapping):
        raise _refusal(path, "is not a JSON object", "fetch or save it again")
    architecture = content.get("model_type")
    if architecture is not None and architecture not in ARCHITECTURES:
        raise _refusal(
            path,
            f"is of the architecture {architecture!r}, which desireline does not run",
            f"choose one of {', '.join(sorted(ARCHITECTURES))}",
        )
    activation = content.get("activation_function")
    if activation is not None and not ACTIVATION.fullmatch(str(activation)):
        raise _refusal(
            path,
            f"names the activation {activation!r}, which is not one of torch's",
            "choose an encoder with a plain activation",
        )


def _refusal(path: Path, what: str, next_step: str) -> UnsafeModelError:
    return UnsafeModelError(f"{path} {what}; the model was not loaded", next_step=next_step)
