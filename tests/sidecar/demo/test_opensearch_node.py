"""The launcher: what it takes, what it refuses, and that nothing outlives its parent."""

import os
import select
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from desireline.connectors.errors import EngineUnavailableError
from desireline.sidecar.demo.child_process import start_child, stop_child
from desireline.sidecar.demo.opensearch_home import assemble, find_java
from desireline.sidecar.demo.opensearch_node import acquire_node, opensearch_node


@pytest.mark.opensearch
def test_a_given_node_is_used_and_left_running(opensearch_url: str) -> None:
    with opensearch_node(opensearch_url) as node:
        assert (node.url, node.owned, node.origin) == (opensearch_url, False, "given")
    with urllib.request.urlopen(opensearch_url, timeout=30) as reply:
        assert reply.status == 200


def test_a_given_address_without_a_node_is_named() -> None:
    with pytest.raises(EngineUnavailableError, match=r"http://127\.0\.0\.1:1") as refused:
        acquire_node("http://127.0.0.1:1", patience_s=0)
    assert "OPENSEARCH_URL" in refused.value.next_step


def java(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").touch()
    (folder / "release").write_text(f'JAVA_VERSION="{version}"\n')
    return folder


def test_a_named_java_is_taken_if_it_is_new_enough(tmp_path: Path) -> None:
    assert find_java(java(tmp_path / "new", "21.0.4")) == tmp_path / "new"
    with pytest.raises(EngineUnavailableError, match="not version 21"):
        find_java(java(tmp_path / "old", "17.0.15"))
    with pytest.raises(EngineUnavailableError, match="nothing-here"):
        find_java(tmp_path / "nothing-here")


def test_a_home_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    home = tmp_path / "opensearch-3.5.0"
    home.mkdir()
    assert assemble(tmp_path, tmp_path / "no-java") == home


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineUnavailableError, match="could not be unpacked"):
        assemble(tmp_path / "file", tmp_path)


def test_a_stopped_child_is_gone_with_its_own_children(tmp_path: Path) -> None:
    child = start_child(
        ["sh", "-c", "sleep 1000 & echo $!; wait"], environment=None, output=tmp_path / "log"
    )
    ready = subprocess.run(
        ["sh", "-c", f"until [ -s {tmp_path / 'log'} ]; do :; done"], check=True, timeout=60
    )
    assert ready.returncode == 0
    grandchild = os.pidfd_open(int((tmp_path / "log").read_text()))
    stop_child(child)
    assert child.poll() is not None
    assert _ended(grandchild)


def test_a_killed_parent_leaves_no_child(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from desireline.sidecar.demo.child_process import start_child\n"
        "child = start_child(['sleep', '1000'], environment=None, output=Path(sys.argv[1]))\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
    assert _ended(child)


def _ended(process: int) -> bool:
    """Wait for the end of any process, ours or not."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    try:
        return bool(poll.poll(60_000))
    finally:
        os.close(process)
