"""The plain way, as a user would write it: `SentenceTransformer.encode` and `helpers.bulk`."""

from typing import Any

import child
from opensearchpy import OpenSearch, helpers
from sentence_transformers import SentenceTransformer

from desireline.trainer.forms.import_model import packaged_minilm


def main(settings: dict[str, Any]) -> None:
    model = SentenceTransformer(str(packaged_minilm()), device="cpu")
    client = OpenSearch([settings["url"]])
    index, field = settings["index"], settings["slot"]

    def run() -> dict[str, Any]:
        hits = list(helpers.scan(client, index=index, _source=["title", "description"]))
        texts = [f"{hit['_source']['title']}. {hit['_source']['description']}" for hit in hits]
        vectors = model.encode(texts)
        actions = (
            {
                "_op_type": "update",
                "_index": index,
                "_id": hit["_id"],
                "doc": {field: vector.tolist()},
            }
            for hit, vector in zip(hits, vectors, strict=True)
        )
        done, _ = helpers.bulk(client, actions)
        return {"documents": done}

    def encode(texts: list[str]) -> dict[str, Any]:
        return {"vectors": model.encode(texts).tolist()}

    model.encode(["warm"])
    child.serve({"run": run, "encode": encode})


main(child.settings())
