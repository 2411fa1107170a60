"""The JSON files of a model: what in them would make a library fetch, unpickle or run code."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from desireline.trainer.errors import UnsafeModelError

MODULES = "modules.json"
TOKENIZER = "tokenizer.json"
VOCABULARY = "vocab.json"
#: Names the file of each weight where weights lie in several.
WEIGHTS_INDEX = "model.safetensors.index.json"
#: Files that hold words alone, and are the only large ones.
_WORDS = frozenset({TOKENIZER, VOCABULARY})
_MOST_BYTES = 8 * 1024**2
_MOST_BYTES_OF_WORDS = 64 * 1024**2
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
WEIGHTS = re.compile(r"[\w-][\w.-]{0,100}\.safetensors", re.ASCII)
#: JSON keys through which a library fetches, unpickles or runs what is not in the model's own
#: files, and the values that are harmless.
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
    "gguf_file": (None,),
    "quantization_config": (None,),
    "tokenizer_name_or_path": (None,),
    "transformers_weights": (None, "model.safetensors"),
    "trust_remote_code": (None, False),
    "use_kernels": (None, False),
    "use_safetensors": (None, True),
    "weights_only": (None, True),
}


def check_settings(path: Path) -> None:
    """Read one JSON file of an encoder, and refuse what would run code.

    Raises:
        UnsafeModelError: it is no JSON, too large, or names code, files elsewhere or a module
            that desireline does not run.

    """
    content = _read(path)
    _check_keys(path, content)
    check = _CHECKS.get(path.name)
    if check:
        check(path, content)


def refuse_code(folder: Path) -> None:
    """Refuse a folder whose settings would have a library run code or open a pickle.

    For models of any architecture that transformers itself implements: other files may lie beside
    them, and are not opened.

    Raises:
        UnsafeModelError: it does; the message names the file.

    """
    for path in sorted(folder.glob("*.json")):
        content = _read(path)
        _check_keys(path, content)
        if path.name.endswith(".safetensors.index.json"):
            _check_weights_index(path, content)


def _read(path: Path) -> Any:
    most = _MOST_BYTES_OF_WORDS if path.name in _WORDS else _MOST_BYTES
    try:
        if path.stat().st_size > most:
            raise refusal(path, "is larger than any model's settings", "fetch or save it again")
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise refusal(path, f"is not valid JSON ({error})", "fetch or save it again") from error


def _check_keys(path: Path, content: object) -> None:
    if path.name in _WORDS:
        return
    for mapping in _mappings(content):
        for key, harmless in DANGEROUS_KEYS.items():
            if key in mapping and mapping[key] not in harmless:
                raise refusal(
                    path,
                    f"has {key!r}, by which code or files from elsewhere would be read",
                    "choose an encoder that needs nothing but its own safetensors",
                )


def _mappings(content: object) -> Iterator[Mapping[str, object]]:
    """Yield every object, however deep it lies."""
    remaining = [content]
    while remaining:
        value = remaining.pop()
        if isinstance(value, Mapping):
            yield value
            remaining.extend(value.values())
        elif isinstance(value, list):
            remaining.extend(value)


def _check_weights_index(path: Path, content: object) -> None:
    """Refuse shards that are no safetensors beside the index: a library would unpickle them."""
    weights = content.get("weight_map") if isinstance(content, Mapping) else None
    if not isinstance(weights, Mapping):
        raise refusal(path, "names no weights", "fetch or save it again")
    for shard in sorted({str(each) for each in weights.values()}):
        if not WEIGHTS.fullmatch(shard) or not (path.parent / shard).is_file():
            raise refusal(
                path,
                f"sends weights to {shard[:80]!r}, which is no safetensors file beside it",
                "save the model again as safetensors",
            )


def _check_modules(path: Path, content: object) -> None:
    if not isinstance(content, list) or not content:
        raise refusal(path, "lists no modules", "fetch or save it again")
    for module in content:
        kind = str(module.get("type", "")) if isinstance(module, Mapping) else ""
        if not MODULE_TYPE.fullmatch(kind):
            raise refusal(
                path,
                f"names the module {kind!r}, which is not one that desireline runs",
                "choose an encoder made of Transformer, Pooling, Normalize, Dense or "
                "StaticEmbedding",
            )
        place = module.get("path", "")
        if place != "" and not (isinstance(place, str) and MODULE_FOLDER.fullmatch(place)):
            raise refusal(path, f"sends a module to {place!r}", "fetch or save it again")


def _check_config(path: Path, content: object) -> None:
    if not isinstance(content, Mapping):
        raise refusal(path, "is not a JSON object", "fetch or save it again")
    architecture = content.get("model_type")
    if architecture is not None and architecture not in ARCHITECTURES:
        raise refusal(
            path,
            f"is of the architecture {architecture!r}, which desireline does not run",
            f"choose one of {', '.join(sorted(ARCHITECTURES))}",
        )
    activation = content.get("activation_function")
    if activation is not None and not ACTIVATION.fullmatch(str(activation)):
        raise refusal(
            path,
            f"names the activation {activation!r}, which is not one of torch's",
            "choose an encoder with a plain activation",
        )


_CHECKS: Mapping[str, Callable[[Path, object], None]] = {
    MODULES: _check_modules,
    "config.json": _check_config,
    WEIGHTS_INDEX: _check_weights_index,
}


def refusal(path: Path, what: str, next_step: str) -> UnsafeModelError:
    """Say of a file why its model is not loaded."""
    return UnsafeModelError(f"{path} {what}; the model was not loaded", next_step=next_step)
