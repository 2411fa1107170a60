"""A pull that is killed at one of its own file operations, as a power cut would.

    python killed_pull.py ARCHIVE LOG_SETTINGS_JSON OPERATION [OPENSEARCH_URL]

Pulls the log into the archive; at the given operation on a file of the archive (counted from 1;
0: never) the process ends by SIGKILL. Exit code 0: the pull came to its end.
"""

import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from desireline.connectors import plugins
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.sidecar.archive.event_archive import EventArchive
from desireline.sidecar.archive.pulling import pull_into

#: What Python tells of before it is done; polars' own writes lie between them.
OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.listdir"}


def kill_at(operation: int, folder: Path) -> None:
    """End this process at its n-th operation below the folder."""
    left = operation

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in OPERATIONS and str(arguments[0]).startswith(str(folder)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    if operation:
        sys.addaudithook(watch)


def main() -> None:
    folder, written, operation, *url = sys.argv[1:]
    settings = json.loads(written)
    source = plugins.load("logs", settings["kind"])
    config = source.config_class.model_validate(settings)
    log = source.open(config, OpenSearchSettings(url=url[0]) if url else None)
    kill_at(int(operation), Path(folder))
    pull_into(
        EventArchive(Path(folder)),
        log,
        settings=config,
        clock=lambda: datetime.now(UTC),
        events_held=100,
    )


if __name__ == "__main__":
    main()
