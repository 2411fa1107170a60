"""An encoder's int8 form: about twice as fast on a CPU, a quarter of the bytes, other vectors.

Dynamic quantisation: weights are signed 8-bit integers with a scale per output channel,
activations are quantised as they come. It moves about a tenth of the top ten, so the int8 form is
an encoder of its own, with its own fingerprint and its parent's name, and has to be judged as any
candidate before it may serve.
"""

import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

from desireline.trainer import model_files
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.errors import ParityError
from desireline.trainer.model_files import GRAPH, SETTINGS
from desireline.trainer.model_settings import TOKENIZER
from desireline.trainer.models.manifest import Manifest, Provenance
from desireline.trainer.registry import Registry

_FLOAT32 = 1
#: Instructions that multiply 8-bit integers without overflow; without them one bit is given up.
_EXACT = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})


def quantise(registry: Registry, fingerprint: str) -> Manifest:
    """Register the int8 form of a registered encoder; doing it again changes nothing.

    Raises:
        ModelMissingError, ModelChangedError: the parent is not there, or not as registered.
        ParityError: its graph cannot be quantised.
        RegistryFullError: no room; nothing was added.

    """
    parent = registry.verify(fingerprint)
    with registry.workspace() as folder:
        for name in (GRAPH, SETTINGS, TOKENIZER):
            (folder / name).write_bytes((registry.folder(fingerprint) / name).read_bytes())
        export_int8(folder)
        return registry.add(
            folder,
            template=parent.text_template,
            similarity=parent.settings.similarity,
            provenance=Provenance(
                base_model=parent.provenance.base_model,
                parent=fingerprint,
                mode=parent.provenance.mode,
                precision="int8",
            ),
            documents=parent.documents,
        )


def export_int8(folder: Path) -> None:
    """Replace an exported folder's graph by its int8 form.

    Raises:
        UnsafeModelError: the folder is not an exported encoder.
        ParityError: the graph cannot be quantised; it is as it was.

    """
    OnnxEncoder(folder, threads=1)  # opens, and fits its settings
    made = folder / f"int8-{GRAPH}"
    try:
        with _quiet():
            quantize_dynamic(
                folder / GRAPH,
                made,
                per_channel=True,
                reduce_range=not multiplies_bytes_exactly(),
                weight_type=QuantType.QInt8,
                extra_options={"MatMulConstBOnly": True, "DefaultTensorType": _FLOAT32},
            )
        made.replace(folder / GRAPH)
    except Exception as error:  # the quantiser raises what its many parts raise
        raise ParityError(
            f"the encoder in {folder} could not be quantised: {error}; it is unchanged",
            next_step="serve it in float32, as it is",
        ) from error
    finally:
        made.unlink(missing_ok=True)
    model_files.check(folder)
    OnnxEncoder(folder, threads=1)


def multiplies_bytes_exactly(cpu_info: Path = Path("/proc/cpuinfo")) -> bool:
    """Tell whether the processor adds up products of bytes without saturating.

    Without such instructions x86 saturates at 16 bits, and weights must keep to 7 bits.
    """
    if platform.machine() not in {"x86_64", "AMD64", "i686"}:
        return True
    try:
        flags = cpu_info.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(not _EXACT.isdisjoint(line.split()) for line in flags.splitlines())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the advice to simplify the graph first: the result is judged, not trusted."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
