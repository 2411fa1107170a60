"""Three OpenSearch nodes from one home, any of which can be killed and started again."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desireline.sidecar.demo.child_process import start_child, stop_child
from desireline.sidecar.demo.opensearch_home import assemble, default_cache, find_java
from desireline.sidecar.demo.opensearch_node import _give_away, _unprivileged

_HEAP = "512m"
_PATIENCE_S = 300.0


@dataclass(slots=True, kw_only=True)
class ClusterNode:
    """One node: its folder outlives its process."""

    name: str
    url: str
    folder: Path
    home: Path
    java: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        uid, gid = _unprivileged() if os.getuid() == 0 else (None, None)
        self.process = start_child(
            [str(self.home / "bin/opensearch")],
            environment={
                "PATH": os.defpath,
                "OPENSEARCH_JAVA_HOME": str(self.java),
                "OPENSEARCH_PATH_CONF": str(self.folder / "config"),
                "OPENSEARCH_TMPDIR": str(self.folder / "tmp"),
                "OPENSEARCH_JAVA_OPTS": f"-Xms{_HEAP} -Xmx{_HEAP}",
            },
            output=self.folder / "output.log",
            user=uid,
            group=gid,
        )

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        if self.process is not None:
            stop_child(self.process)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreeNodes:
    """A cluster; the first node is only asked, the others hold what tests make."""

    nodes: tuple[ClusterNode, ...]

    @property
    def url(self) -> str:
        return self.nodes[0].url

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON answer of the first node."""
        request = urllib.request.Request(
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"content-type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def primary_of(self, index: str) -> ClusterNode:
        """Return the node that holds the primary of the index's only shard."""
        shards = self.call("GET", f"/_cat/shards/{index}?format=json&h=prirep,node,state")
        (name,) = {s["node"] for s in shards if s["prirep"] == "p" and s["state"] == "STARTED"}
        return next(node for node in self.nodes if node.name == name)

    def mend(self) -> None:
        """Start what was killed and wait until every copy is there again."""
        for node in self.nodes:
            if node.process is None:
                node.start()
        self.wait_until_green()

    def wait_until_green(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        path = "/_cluster/health?wait_for_status=green&wait_for_nodes=3&timeout=5s"
        while time.monotonic() < deadline:
            try:
                if not self.call("GET", path)["timed_out"]:
                    return
            except (OSError, urllib.error.HTTPError):
                time.sleep(1)
            for node in self.nodes:
                ended = node.process is not None and node.process.poll() is not None
                assert not ended, (node.folder / "output.log").read_text()[-3000:]
        raise AssertionError("the three nodes did not become green")


@contextmanager
def three_nodes(java_home: Path | None) -> Iterator[ThreeNodes]:
    """Give a cluster for the time of the block; Linux ends it with this process, too."""
    java = find_java(java_home)
    home = assemble(default_cache(), java)
    folder = Path(tempfile.mkdtemp(prefix="desireline-three-nodes-"))
    nodes = _configure(folder, home, java)
    uid, gid = _unprivileged()
    if os.getuid() == 0:
        _give_away(folder, uid, gid)
    cluster = ThreeNodes(nodes=nodes)
    try:
        for node in nodes:
            node.start()
        cluster.wait_until_green()
        yield cluster
    finally:
        for node in nodes:
            node.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _configure(folder: Path, home: Path, java: Path) -> tuple[ClusterNode, ...]:
    names = ("asked", "holder-1", "holder-2")
    ports = _free_ports(2 * len(names))
    http, transport = ports[: len(names)], ports[len(names) :]
    shared = {
        "cluster.name": folder.name,
        "network.host": "127.0.0.1",
        "discovery.seed_hosts": json.dumps([f"127.0.0.1:{port}" for port in transport]),
        "cluster.initial_cluster_manager_nodes": json.dumps(names),
        "cluster.routing.allocation.disk.threshold_enabled": "false",
    }
    nodes = []
    for name, http_port, transport_port in zip(names, http, transport, strict=True):
        place = folder / name
        shutil.copytree(home / "config", place / "config")
        for part in ("data", "logs", "tmp"):
            (place / part).mkdir()
        options = place / "config" / "jvm.options"
        kept = [line for line in options.read_text().splitlines() if "logs/" not in line]
        options.write_text("\n".join(line for line in kept if "HeapDumpPath" not in line) + "\n")
        settings = shared | {
            "node.name": name,
            "http.port": str(http_port),
            "transport.port": str(transport_port),
            "path.data": str(place / "data"),
            "path.logs": str(place / "logs"),
        }
        text = "".join(f"{key}: {value}\n" for key, value in settings.items())
        (place / "config" / "opensearch.yml").write_text(text)
        nodes.append(
            ClusterNode(
                name=name,
                url=f"http://127.0.0.1:{http_port}",
                folder=place,
                home=home,
                java=java,
            )
        )
    return tuple(nodes)


def _free_ports(number: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
