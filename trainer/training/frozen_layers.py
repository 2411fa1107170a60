"""What frozen lowest layers put out is computed once a text, and kept for the passes to come.

Layers that do not train say the same of a text in every pass. So their output is kept, in half
precision and in bounded memory, and a step begins at the first layer that trains. The encoder stays
as it is: its weights keep their names, and it gives the same vectors while this is put on.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import structlog
import torch
from sentence_transformers import SentenceTransformer
from torch.nn.utils.rnn import pad_sequence

from desireline.trainer.jobs import FitConfig
from desireline.trainer.losses.embedding import lengths_of
from desireline.trainer.training.batch_loading import tokenise

log = structlog.get_logger(__name__)

#: Texts of several lengths, by which is tried whether an encoder can be parted.
_PROBE = ("a", "red shoes", "a much longer text about nurses, gardens and engines 42")
_CLOSE = 0.9999


@contextmanager
def frozen_layers_kept(model: SentenceTransformer, config: FitConfig) -> Iterator["Kept | None"]:
    """Keep what the frozen layers of an encoder put out, where it has such and that is safe.

    Not on a GPU, where memory is dearer than time, nor where dropout is on, which draws anew in
    every pass. Of an encoder whose layers cannot be told apart, nothing is kept and all is said.
    """
    kept = _kept(model, config)
    if kept is None:
        yield None
        return
    whole = _vectors(model, config)
    with kept.put_on():
        if not _same(model, whole, config):
            kept.close()
            log.info("frozen layers are computed in every pass: this encoder cannot be parted")
        yield kept


class Kept:
    """Stands between an encoder's frozen layers and those that train."""

    def __init__(
        self, whole: torch.nn.Module, layers: list[torch.nn.Module], frozen: int, most_bytes: int
    ) -> None:
        self._whole = whole
        self._layers = layers
        self._frozen = frozen
        self._room = most_bytes
        self._texts: dict[bytes, torch.Tensor] = {}
        self._dtype = torch.float32
        #: What goes on: nothing, the frozen layers, or those above them.
        self._part: str | None = None
        self._given = torch.empty(0)
        self._in_tuples = False
        #: How often the frozen layers were asked for a text, and had to be computed.
        self.asked = 0
        self.computed = 0

    def close(self) -> None:
        """Compute everything from now on."""
        self._room = 0
        self._frozen = 0
        self._texts.clear()

    @contextmanager
    def put_on(self) -> Iterator[None]:
        """Stand in for the embeddings and all layers for a while."""
        whole: Any = self._whole
        stood_for = [whole.embeddings, *self._layers]
        for number, module in enumerate(stood_for):
            module.forward = partial(self._through, module.forward, number)
        whole.forward = partial(self._forward, whole.forward)
        try:
            yield
        finally:
            for module in (*stood_for, whole):
                del module.forward
            self._texts.clear()

    def _forward(self, forward: Callable[..., Any], *arguments: Any, **features: Any) -> Any:
        """Give the frozen layers' output to those above, and go through these."""
        lengths = lengths_of(features.get("attention_mask"))
        if arguments or not self._frozen or lengths is None:
            return forward(*arguments, **features)
        self._given = self._hidden(forward, features, lengths)
        self._part = "above"
        try:
            return forward(**features)
        finally:
            self._part = None

    def _hidden(
        self, forward: Callable[..., Any], features: Mapping[str, Any], lengths: torch.Tensor
    ) -> torch.Tensor:
        rows = _keys(features, lengths)
        missing = {key: row for row, key in enumerate(rows) if key not in self._texts}
        self.asked += len(rows)
        self.computed += len(missing)
        fresh = (
            self._computed(forward, features, lengths, list(missing.values())) if missing else []
        )
        found = self._texts | dict(zip(missing, fresh, strict=True)) if missing else self._texts
        hidden = pad_sequence([found[key] for key in rows], batch_first=True)
        wide = int(features["attention_mask"].shape[1]) - hidden.shape[1]
        return torch.nn.functional.pad(hidden, (0, 0, 0, wide)).to(self._dtype)

    def _computed(
        self,
        forward: Callable[..., Any],
        features: Mapping[str, Any],
        lengths: torch.Tensor,
        rows: list[int],
    ) -> list[torch.Tensor]:
        """Go through the frozen layers with some texts, and keep what comes out while it fits."""
        longest, mask = int(lengths[rows].max()), features["attention_mask"]
        some = {
            name: value[rows, :longest]
            if isinstance(value, torch.Tensor) and value.shape == mask.shape
            else value
            for name, value in features.items()
        }
        self._part = "frozen"
        try:
            with torch.no_grad():
                forward(**some)
        finally:
            self._part = None
        self._dtype = self._given.dtype
        parts = [
            self._given[line, : int(lengths[row])].half().clone() for line, row in enumerate(rows)
        ]
        self._keep(_keys(some, lengths[rows]), parts)
        return parts

    def _keep(self, keys: list[bytes], parts: list[torch.Tensor]) -> None:
        for key, part in zip(keys, parts, strict=True):
            size = part.numel() * part.element_size()
            if size <= self._room:
                self._texts[key] = part
                self._room -= size

    def _through(
        self, forward: Callable[..., Any], number: int, *arguments: Any, **named: Any
    ) -> Any:
        """Go through the embeddings (0) or a layer, or leave it out where it has nothing to do."""
        frozen = number <= self._frozen
        if self._part is None or (self._part == "frozen") == frozen:
            found = forward(*arguments, **named)
            if self._part == "frozen" and number == self._frozen:
                self._in_tuples = isinstance(found, tuple)
                self._given = found[0] if self._in_tuples else found
            return found
        if number == 0:
            return self._given
        hidden = arguments[0] if arguments else named["hidden_states"]
        return (hidden,) if self._in_tuples else hidden


def _kept(model: SentenceTransformer, config: FitConfig) -> Kept | None:
    first: Any = model[0]
    whole: Any = getattr(first, "model", None)
    if model.device.type != "cpu" or config.dropout or not config.frozen_cache_mb:
        return None
    if not isinstance(whole, torch.nn.Module) or not hasattr(whole, "embeddings"):
        return None
    stacks = [each for each in whole.modules() if isinstance(each, torch.nn.ModuleList)]
    layers = list(stacks[0]) if stacks else []
    parts: list[Any] = [whole.embeddings, *layers]
    trains = [any(weight.requires_grad for weight in part.parameters()) for part in parts]
    frozen = trains.index(True) - 1 if True in trains else 0
    if frozen < 1:
        return None
    return Kept(whole, layers, frozen, config.frozen_cache_mb * 2**20)


def _same(model: SentenceTransformer, whole: torch.Tensor, config: FitConfig) -> bool:
    """Try whether a parted encoder gives the vectors of a whole one, computed and then kept."""
    try:
        parted = [_vectors(model, config) for _ in range(2)]
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):  # its own ways
        return False
    cosines = [torch.nn.functional.cosine_similarity(whole, each) for each in parted]
    return bool((torch.stack(cosines) > _CLOSE).all())


def _vectors(model: SentenceTransformer, config: FitConfig) -> torch.Tensor:
    features = tokenise(model, _PROBE, task="document", most=config.document_tokens)
    with torch.no_grad():
        vectors: torch.Tensor = model(features)["sentence_embedding"]
    return vectors


def _keys(features: Mapping[str, Any], lengths: torch.Tensor) -> list[bytes]:
    """Name texts by all their tokens, and by the kinds of these where they have several."""
    ids = features["input_ids"].numpy()
    kinds: torch.Tensor | None = features.get("token_type_ids")
    beside = kinds.numpy() if kinds is not None and bool(kinds.any()) else ids[:, :0]
    return [
        ids[row, :length].tobytes() + beside[row, :length].tobytes()
        for row, length in enumerate(lengths.tolist())
    ]
