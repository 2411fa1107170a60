"""Another library's encoder, same weights; imports nothing of ours: any interpreter may run it."""

import asyncio
from importlib.metadata import version
from typing import Any

import child


def fastembed(folder: str) -> Any:
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    TextEmbedding.add_custom_model(
        model="bench/minilm",
        pooling=PoolingType.DISABLED,  # the graph pools
        normalization=True,
        sources=ModelSource(hf="bench/minilm"),
        dim=384,
        model_file="model.onnx",
    )
    model = TextEmbedding("bench/minilm", specific_model_path=folder)
    return lambda texts: [vector.tolist() for vector in model.embed(texts)]


def infinity(folder: str) -> Any:
    from infinity_emb import AsyncEmbeddingEngine, EngineArgs

    engine = AsyncEmbeddingEngine.from_args(
        EngineArgs(model_name_or_path=folder, engine="torch", device="cpu")
    )
    loop = asyncio.new_event_loop()
    loop.run_until_complete(engine.astart())

    def encode(texts: list[str]) -> list[list[float]]:
        vectors, _ = loop.run_until_complete(engine.embed(sentences=texts))
        return [vector.tolist() for vector in vectors]

    return encode


LIBRARIES = {"fastembed": fastembed, "infinity-emb": infinity}


def main(settings: dict[str, Any]) -> None:
    try:
        encode = LIBRARIES[settings["library"]](settings["folder"])
        encode(["warm"])
        found = {"version": version(settings["library"])}
    except Exception as error:  # noqa: BLE001  whatever a library says is the reason to print
        encode, found = None, {"missing": f"{type(error).__name__}: {error}".splitlines()[0]}

    def run(texts: list[str]) -> dict[str, Any]:
        return {"first": encode(texts)[0][:8]}

    child.serve({"encode": run}, **found)


main(child.settings())
