"""A real OpenSearch with its security plugin: TLS, users, roles.

The plugin of 3.5.0 is not to be had; the one of 3.4.0 runs on it when its descriptor says so.
"""

import base64
import json
import os
import shutil
import ssl
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
from desireline.sidecar.demo.opensearch_home import (
    VERSION,
    _fetch,
    _install,
    _locked,
    _make_readable,
    assemble,
    default_cache,
    find_java,
)
from desireline.sidecar.demo.opensearch_node import (
    _configure,
    _free_port,
    _give_away,
    _unprivileged,
)

_PLUGIN = "org.opensearch.plugin:opensearch-security:3.4.0.0:zip"
_PATIENCE_S = 300.0
ADMIN = ("admin", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredNode:
    """Where it is, and how its administrator speaks to it."""

    url: str
    ca_file: Path

    def call(
        self, method: str, path: str, body: object = None, *, user: tuple[str, str] = ADMIN
    ) -> tuple[int, Any]:
        """Return status and JSON answer."""
        token = base64.b64encode(":".join(user).encode()).decode()
        request = urllib.request.Request(
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"content-type": "application/json", "authorization": f"Basic {token}"},
            method=method,
        )
        context = ssl.create_default_context(cafile=str(self.ca_file))
        try:
            with urllib.request.urlopen(request, timeout=60, context=context) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            return error.code, json.loads(text) if text.startswith("{") else text

    def add_user(self, name: str, role: dict[str, Any]) -> tuple[str, str]:
        """Make a user with a role of its own; return its name and password."""
        password = "A-long-passphrase-for-tests-7"
        for path, body in (
            (f"roles/{name}", role),
            (f"internalusers/{name}", {"password": password}),
            (f"rolesmapping/{name}", {"users": [name]}),
        ):
            status, answer = self.call("PUT", f"/_plugins/_security/api/{path}", body)
            assert status in {200, 201}, answer
        return name, password


@contextmanager
def secured_node(java_home: Path | None) -> Iterator[SecuredNode]:
    """Give a node for the time of the block."""
    java = find_java(java_home)
    home = _secured_home(assemble(default_cache(), java), java)
    folder = Path(tempfile.mkdtemp(prefix="desireline-secured-"))
    port = _free_port()
    _configure(folder, home, port)
    _make_certificates(folder / "config")
    settings = {
        "plugins.security.ssl.transport.enforce_hostname_verification": "false",
        "plugins.security.ssl.http.enabled": "true",
        "plugins.security.allow_default_init_securityindex": "true",
        "plugins.security.restapi.roles_enabled": '["all_access"]',
        **{
            f"plugins.security.ssl.{layer}.{what}_filepath": name
            for layer in ("transport", "http")
            for what, name in (
                ("pemcert", "node.pem"),
                ("pemkey", "node-key.pem"),
                ("pemtrustedcas", "ca.pem"),
            )
        },
    }
    with (folder / "config" / "opensearch.yml").open("a") as config:
        config.writelines(f"{key}: {value}\n" for key, value in settings.items())
    uid, gid = _unprivileged() if os.getuid() == 0 else (None, None)
    if uid is not None and gid is not None:
        _give_away(folder, uid, gid)
    process = start_child(
        [str(home / "bin/opensearch")],
        environment={
            "PATH": os.defpath,
            "OPENSEARCH_JAVA_HOME": str(java),
            "OPENSEARCH_PATH_CONF": str(folder / "config"),
            "OPENSEARCH_TMPDIR": str(folder / "tmp"),
            "OPENSEARCH_JAVA_OPTS": "-Xms1g -Xmx1g",
        },
        output=folder / "output.log",
        user=uid,
        group=gid,
    )
    node = SecuredNode(url=f"https://127.0.0.1:{port}", ca_file=folder / "config" / "ca.pem")
    try:
        _wait(node, process, folder / "output.log")
        yield node
    finally:
        stop_child(process)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(node: SecuredNode, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            status, _ = node.call("GET", "/_cluster/health?wait_for_status=yellow&timeout=5s")
        except OSError:
            status = 0
        if status == 200:
            return
        time.sleep(1)
    raise AssertionError(f"the secured node did not start: {log.read_text()[-3000:]}")


def _secured_home(plain: Path, java: Path) -> Path:
    home = plain.with_name(f"opensearch-{VERSION}-secured")
    with _locked(plain.with_name(f"opensearch-{VERSION}-secured.lock")):
        if home.exists():
            return home
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="making-") as name:
            making = Path(name) / "home"
            shutil.copytree(plain, making, copy_function=os.link)
            plugin = _for_this_version(_fetch(_PLUGIN, Path(name)), Path(name))
            _install(making, plugin, java)
            _make_readable(making)
            making.rename(home)
    return home


def _for_this_version(plugin: Path, folder: Path) -> Path:
    unpacked = folder / "plugin"
    shutil.unpack_archive(plugin, unpacked)
    descriptor = unpacked / "plugin-descriptor.properties"
    lines = [
        f"opensearch.version={VERSION}" if line.startswith("opensearch.version=") else line
        for line in descriptor.read_text().splitlines()
    ]
    descriptor.write_text("\n".join(lines) + "\n")
    return Path(shutil.make_archive(str(folder / "security"), "zip", unpacked))


def _make_certificates(config: Path) -> None:
    """An authority and one certificate for 127.0.0.1, by openssl."""
    (config / "san.cnf").write_text("subjectAltName=IP:127.0.0.1\n")
    for arguments in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-authority"
        " -keyout ca-key.pem -out ca.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=node -keyout node-rsa.pem -out node.csr",
        "pkcs8 -topk8 -nocrypt -in node-rsa.pem -out node-key.pem",
        "x509 -req -in node.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2"
        " -extfile san.cnf -out node.pem",
    ):
        subprocess.run(["openssl", *arguments.split()], cwd=config, check=True, capture_output=True)
