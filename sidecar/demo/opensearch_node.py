"""A real OpenSearch node for tests, trials and the demo: given, assembled or in a container.

``python -m desireline.sidecar.demo.opensearch_node`` runs one until Ctrl-C.
"""

import argparse
import atexit
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from desireline.connectors.errors import DesirelineError, EngineUnavailableError
from desireline.sidecar.config import environment
from desireline.sidecar.demo.child_process import start_child, stop_child
from desireline.sidecar.demo.opensearch_home import VERSION, assemble, default_cache, find_java

_IMAGE = "opensearchproject/opensearch"
_CONTAINER_ENGINES = ("docker", "podman")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node that answers at `url` until `close`; one that was given is left running."""

    url: str
    #: Whether it was started here and ends with `close`.
    owned: bool
    #: "given", "assembled" or "container".
    origin: str
    close: Callable[[], None]


@contextmanager
def opensearch_node(
    url: str | None = None, *, java_home: Path | None = None, heap: str = "1g"
) -> Iterator[Node]:
    """Give a node for the time of the block; see `acquire_node`."""
    node = acquire_node(url, java_home=java_home, heap=heap)
    try:
        yield node
    finally:
        node.close()


def acquire_node(
    url: str | None = None,
    *,
    java_home: Path | None = None,
    heap: str = "1g",
    version: str = VERSION,
    cache: Path | None = None,
    patience_s: float = 300,
) -> Node:
    """Return the node at `url`, else start one from Maven artifacts, else in a container.

    A started node is new and empty, listens on 127.0.0.1 only, and ends with this process,
    also when this process is killed (on Linux).

    Raises:
        EngineUnavailableError: the given node does not answer, or none can be started here.

    """
    if url:
        _wait_until_healthy(url, lambda: None, patience_s=min(patience_s, 30))
        return Node(url=url, owned=False, origin="given", close=lambda: None)
    try:
        java = find_java(java_home, version)
        home = assemble(cache or default_cache(), java, version)
    except EngineUnavailableError as missing:
        engine = _container_engine()
        if engine is None:
            raise EngineUnavailableError(
                f"no OpenSearch node can be had here: {missing}; neither docker nor podman answers",
                next_step=f"{missing.next_step}; or name a running node in OPENSEARCH_URL",
            ) from missing
        return _start_container(engine, f"{_IMAGE}:{version}", heap, patience_s)
    return _start_assembled(home, java, heap, patience_s)


def _start_assembled(home: Path, java: Path, heap: str, patience_s: float) -> Node:
    folder = Path(tempfile.mkdtemp(prefix="desireline-opensearch-"))
    port = _free_port()
    _configure(folder, home, port)
    uid, gid = _unprivileged() if os.getuid() == 0 else (None, None)
    if uid is not None and gid is not None:
        _give_away(folder, uid, gid)
    child = start_child(
        [str(home / "bin/opensearch")],
        environment={
            "PATH": os.defpath,
            "OPENSEARCH_JAVA_HOME": str(java),
            "OPENSEARCH_PATH_CONF": str(folder / "config"),
            "OPENSEARCH_TMPDIR": str(folder / "tmp"),
            "OPENSEARCH_JAVA_OPTS": f"-Xms{heap} -Xmx{heap}",
        },
        output=folder / "output.log",
        user=uid,
        group=gid,
    )
    return _ready(f"http://127.0.0.1:{port}", "assembled", child, folder, patience_s)


def _configure(folder: Path, home: Path, port: int) -> None:
    """Write a configuration of its own: the home is shared and only read."""
    shutil.copytree(home / "config", folder / "config")
    for name in ("data", "logs", "tmp"):
        (folder / name).mkdir()
    options = folder / "config" / "jvm.options"
    # The home is the working directory, where the node may not write its logs and dumps.
    kept = [line for line in options.read_text().splitlines() if "logs/" not in line]
    options.write_text("\n".join(line for line in kept if "HeapDumpPath" not in line) + "\n")
    settings = {
        "cluster.name": "desireline",
        "discovery.type": "single-node",
        "network.host": "127.0.0.1",
        "http.port": str(port),
        "transport.port": str(_free_port()),
        "path.data": str(folder / "data"),
        "path.logs": str(folder / "logs"),
        # A developer's disk is often nearly full; that must not block a trial.
        "cluster.routing.allocation.disk.threshold_enabled": "false",
    }
    text = "".join(f"{key}: {value}\n" for key, value in settings.items())
    (folder / "config" / "opensearch.yml").write_text(text)


def _unprivileged() -> tuple[int, int]:
    """Return ids that own nothing; OpenSearch refuses to run as root."""
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return nobody.pw_uid, nobody.pw_gid


def _give_away(folder: Path, uid: int, gid: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, uid, gid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _container_engine() -> str | None:
    for engine in _CONTAINER_ENGINES:
        program = shutil.which(engine)
        if program and _answers([program, "info"]):
            return program
    return None


def _answers(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=20)  # noqa: S603 - docker or podman, as found
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _start_container(engine: str, image: str, heap: str, patience_s: float) -> Node:
    folder = Path(tempfile.mkdtemp(prefix="desireline-opensearch-"))
    port = _free_port()
    settings = {
        "discovery.type": "single-node",
        "DISABLE_SECURITY_PLUGIN": "true",
        "DISABLE_INSTALL_DEMO_CONFIG": "true",
        "OPENSEARCH_JAVA_OPTS": f"-Xms{heap} -Xmx{heap}",
        "cluster.routing.allocation.disk.threshold_enabled": "false",
    }
    given = [part for key, value in settings.items() for part in ("-e", f"{key}={value}")]
    command = [engine, "run", "--rm", "-p", f"127.0.0.1:{port}:9200", *given, image]
    child = start_child(command, environment=None, output=folder / "output.log")
    return _ready(f"http://127.0.0.1:{port}", "container", child, folder, patience_s)


def _ready(
    url: str, origin: str, child: subprocess.Popen[bytes], folder: Path, patience_s: float
) -> Node:
    def close() -> None:
        stop_child(child)
        shutil.rmtree(folder, ignore_errors=True)
        atexit.unregister(close)

    def check_alive() -> None:
        if child.poll() is not None:
            raise EngineUnavailableError(
                f"OpenSearch ended while starting: {_last_words(folder / 'output.log')}",
                next_step="mend that, or name a running node in OPENSEARCH_URL",
            )

    atexit.register(close)
    try:
        _wait_until_healthy(url, check_alive, patience_s=patience_s)
    except BaseException:
        close()
        raise
    return Node(url=url, owned=True, origin=origin, close=close)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " / ".join(lines[-4:]) or "it said nothing"


def _wait_until_healthy(url: str, check_alive: Callable[[], None], *, patience_s: float) -> None:
    started = time.monotonic()
    while not _healthy(url):
        check_alive()
        if time.monotonic() - started > patience_s:
            raise EngineUnavailableError(
                f"no OpenSearch answered at {url} within {patience_s:.0f} s",
                next_step="check the address in OPENSEARCH_URL, or leave it out to start a node",
            )
        time.sleep(0.5)


def _healthy(url: str) -> bool:
    health = f"{url.rstrip('/')}/_cluster/health?wait_for_status=yellow&timeout=5s"
    try:
        with urllib.request.urlopen(health, timeout=10) as reply:  # noqa: S310 - the caller's own http(s) address
            return bool(reply.status == 200)  # noqa: PLR2004 - HTTP's OK
    except urllib.error.HTTPError as error:
        # Asked for a password: it is up, and whoever uses it brings one.
        return error.code in {401, 403}
    except (OSError, ValueError):
        return False


def main() -> int:
    """Run a node in the foreground; print its address; stop at Ctrl-C."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--java-home",
        type=Path,
        default=environment().opensearch_java_home,
        help="home of a Java 21 or newer (OPENSEARCH_JAVA_HOME)",
    )
    parser.add_argument(
        "--version",
        default=environment().opensearch_version or VERSION,
        help=f"of OpenSearch ({VERSION}, or OPENSEARCH_VERSION)",
    )
    parser.add_argument("--heap", default="1g", help="memory of the node's heap (1g)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        node = acquire_node(java_home=options.java_home, heap=options.heap, version=options.version)
    except DesirelineError as error:
        sys.stderr.write(f"{error}\nNext: {error.next_step}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(f"{node.url}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        _sleep_while_up(node.url)
    node.close()
    return 0


def _sleep_while_up(url: str) -> None:
    while _healthy(url):
        time.sleep(5)


if __name__ == "__main__":
    sys.exit(main())
