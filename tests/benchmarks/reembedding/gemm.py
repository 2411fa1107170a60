"""How fast one thread multiplies matrices of the encoder's shapes, and how fast it encodes.

Three libraries multiply; the fastest is what encoding is held to. Floating-point operations are
those of the linear layers and of attention over the real tokens, padding not counted.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import child
import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper
from tokenizers import Tokenizer

from desireline.trainer.encoders.onnx import TOKEN_BUDGET, OnnxEncoder
from desireline.trainer.encoders.settings import EncoderSettings

#: Large matrices are multiplied faster than those of one batch: told beside, not the measure.
LARGE = 1024


def shapes(config: dict[str, Any]) -> list[tuple[int, int]]:
    """Inner and outer size of every linear layer's matrix."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    layer = [(hidden, hidden)] * 4 + [(hidden, inner), (inner, hidden)]
    return layer * config["num_hidden_layers"]


def operations(config: dict[str, Any], lengths: list[int]) -> float:
    linear = sum(2 * inner * outer for inner, outer in shapes(config))
    attention = 4 * config["hidden_size"] * config["num_hidden_layers"]
    return float(sum(length * linear + length * length * attention for length in lengths))


def by_torch(wanted: list[tuple[int, int]], rows: int) -> Callable[[], None]:
    torch.set_num_threads(1)
    inputs = {inner: torch.randn(rows, inner) for inner, _ in wanted}
    weights = [(torch.randn(i, o), torch.empty(rows, o), inputs[i]) for i, o in wanted]

    def multiply() -> None:
        for weight, out, given in weights:
            torch.mm(given, weight, out=out)

    return multiply


def by_numpy(wanted: list[tuple[int, int]], rows: int) -> Callable[[], None]:
    drawn = np.random.default_rng(0)
    inputs = {inner: drawn.random((rows, inner), np.float32) for inner, _ in wanted}
    weights = [
        (drawn.random((i, o), np.float32), np.empty((rows, o), np.float32), inputs[i])
        for i, o in wanted
    ]

    def multiply() -> None:
        for weight, out, given in weights:
            np.matmul(given, weight, out=out)

    return multiply


def by_onnxruntime(wanted: list[tuple[int, int]], rows: int) -> Callable[[], None]:
    drawn = np.random.default_rng(0)
    feed = {f"x{inner}": drawn.random((rows, inner), np.float32) for inner, _ in wanted}
    nodes, weights, sizes = [], [], []
    for n, (inner, outer) in enumerate(wanted):
        weights.append(
            onnx.numpy_helper.from_array(drawn.random((inner, outer), np.float32), f"w{n}")
        )
        nodes.append(helper.make_node("MatMul", [f"x{inner}", f"w{n}"], [f"y{n}"]))
        nodes.append(helper.make_node("Shape", [f"y{n}"], [f"s{n}"]))
        sizes.append(f"s{n}")
    nodes.append(helper.make_node("Concat", sizes, ["sizes"], axis=0))
    given = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", array.shape[1]])
        for name, array in feed.items()
    ]
    out = [helper.make_tensor_value_info("sizes", TensorProto.INT64, ["n"])]
    graph = helper.make_graph(nodes, "gemm", given, out, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, feed)


def main(settings: dict[str, Any]) -> None:
    folder = Path(settings["model"])
    config = json.loads((folder / "config.json").read_text())
    wanted = shapes(config)
    made = {"torch": by_torch, "numpy": by_numpy, "onnxruntime": by_onnxruntime}
    small = {name: make(wanted, TOKEN_BUDGET) for name, make in made.items()}
    large = {name: make(wanted, LARGE) for name, make in made.items()}
    encoder = OnnxEncoder(folder, threads=1)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(EncoderSettings.read(folder).max_seq_length or 512)
    texts = settings["texts"]
    work = operations(config, [len(e.ids) for e in tokenizer.encode_batch_fast(texts)])

    def rate(multiply: Callable[[], None], rows: int) -> float:
        best = min(timed(multiply) for _ in range(8))
        return rows * sum(2 * i * o for i, o in wanted) / best / 1e9

    def run() -> dict[str, Any]:
        seconds = timed(lambda: encoder.encode_documents(texts))
        return {
            "encode": work / seconds / 1e9,
            "gemm": {name: rate(multiply, TOKEN_BUDGET) for name, multiply in small.items()},
            "large": {name: rate(multiply, LARGE) for name, multiply in large.items()},
        }

    for multiply in (*small.values(), *large.values()):
        multiply()
    encoder.encode_documents(texts)
    child.serve({"run": run})


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


main(child.settings())
