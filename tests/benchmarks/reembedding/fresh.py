"""The best way into a fresh index: the same encoder and windows, whole documents, no guards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import child
import orjson
from corpus import FIELDS
from opensearchpy import OpenSearch

from desireline.connectors.documents import Document, TextTemplate, digest
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import Read
from desireline.sidecar.writing.embedding_writer import Rendered
from desireline.sidecar.writing.windows import batches, by_length, windows
from desireline.trainer.encoders.onnx import OnnxEncoder


def main(settings: dict[str, Any]) -> None:
    engine = OpenSearchEngine(OpenSearchSettings(url=settings["url"]))
    client = OpenSearch([settings["url"]], timeout=60)
    encoder = OnnxEncoder(Path(settings["model"]))
    template = TextTemplate(fields=FIELDS)
    field, into = settings["slot"], settings["into"]

    def rendered() -> Iterator[list[Rendered]]:
        for page in engine.scan(settings["index"], Read(fields=FIELDS)):
            yield [render(document) for document in page]

    def render(document: Document) -> Rendered:
        text = template.render(document.fields)
        return Rendered(document=document, text=text, digest=digest(text))

    def run() -> dict[str, Any]:
        count = 0
        for window in windows(rendered()):
            for batch in batches(by_length(window), documents=256):
                vectors = encoder.encode_documents([r.text for r in batch])
                lines = []
                for r, vector in zip(batch, vectors, strict=True):
                    lines.append(orjson.dumps({"index": {"_id": r.document.document_id}}))
                    body = {**r.document.fields, field: vector}
                    lines.append(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY))
                answer = client.bulk(index=into, body=b"\n".join(lines) + b"\n")
                assert not answer["errors"]
                count += len(batch)
        return {"documents": count}

    encoder.encode_documents(["warm", "and warmer"])
    child.serve({"run": run})


main(child.settings())
