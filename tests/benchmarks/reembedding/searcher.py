"""An application that searches the live slot at an even pace and times every answer."""

import threading
import time
from typing import Any

import child
import numpy as np
from opensearchpy import OpenSearch


def main(settings: dict[str, Any]) -> None:
    client = OpenSearch([settings["url"]], timeout=60)
    queries = [list(vector) for vector in np.asarray(settings["vectors"]).tolist()]
    state: dict[str, Any] = {"taken": [], "on": False, "thread": None}

    def search(number: int) -> float:
        body = {
            "size": 10,
            "_source": False,
            "query": {
                "knn": {settings["slot"]: {"vector": queries[number % len(queries)], "k": 10}}
            },
        }
        began = time.perf_counter()
        client.search(index=settings["index"], body=body)
        return (time.perf_counter() - began) * 1000

    def keep_searching() -> None:
        due = time.monotonic()
        number = 0
        while state["on"]:
            state["taken"].append(search(number))
            number += 1
            due = max(due + 1 / settings["a_second"], time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))

    def begin(slot: str) -> dict[str, Any]:
        settings["slot"] = slot
        state.update(taken=[], on=True, thread=threading.Thread(target=keep_searching))
        state["thread"].start()
        return {}

    def end() -> dict[str, Any]:
        state["on"] = False
        state["thread"].join()
        taken = state["taken"]
        p50, p95, p99 = np.percentile(taken, [50, 95, 99]).tolist() if taken else (0, 0, 0)
        return {"searches": len(taken), "p50": p50, "p95": p95, "p99": p99}

    def warm(slot: str, count: int) -> dict[str, Any]:
        settings["slot"] = slot
        for number in range(count):
            search(number)
        return {}

    child.serve({"begin": begin, "end": end, "warm": warm})


main(child.settings())
