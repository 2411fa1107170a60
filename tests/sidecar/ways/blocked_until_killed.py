"""Put a block on an index as a swap does, say so, and wait to be killed.

Arguments: url, alias, index, new index, limit in seconds.
"""

import sys
import time

from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.sidecar.ways.watchdog import watchdog

if __name__ == "__main__":
    url, alias, index, new_index, limit_s = sys.argv[1:]
    engine = OpenSearchEngine(OpenSearchSettings(url=url))
    with watchdog(
        engine, alias=alias, index=index, new_index=new_index, limit_s=float(limit_s)
    ) as dog:
        dog.arm()
        engine.block_writes(index, f"{new_index}-ticket-1-1")
        sys.stdout.write("blocked\n")
        sys.stdout.flush()
        time.sleep(600)
