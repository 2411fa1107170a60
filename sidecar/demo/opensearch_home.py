"""An unpacked OpenSearch with k-NN, put together once from Maven artifacts and then kept.

The artifacts carry no native libraries: only the ``lucene`` engine of k-NN works in it.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from desireline.connectors.errors import EngineUnavailableError

VERSION = "3.5.0"
#: What lang-painless stands on, by the first part of a version; k-NN needs that module.
_PAINLESS_NEEDS = {
    "2": (
        "org.antlr:antlr4-runtime:4.13.1",
        *(f"org.ow2.asm:{part}:9.7" for part in ("asm", "asm-analysis", "asm-commons")),
        *(f"org.ow2.asm:{part}:9.7" for part in ("asm-tree", "asm-util")),
    )
}
_SERVER = "org.opensearch.distribution.integ-test-zip:opensearch"
_KNN = "org.opensearch.plugin:opensearch-knn"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
#: By the first part of a version: from this Java on, and up to it where there is a last one
#: (OpenSearch 2 stands on the security manager, which Java 24 took away).
_JAVA_FOR = {"2": (11, 23), "3": (21, 99)}
_JAVA_HOMES = (
    "/usr/lib/jvm/*",
    "/opt/java/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    str(Path.home() / ".sdkman/candidates/java/*"),
)


def default_cache() -> Path:
    """Return the folder that keeps the unpacked node from one start to the next.

    Root's own home is closed to the unprivileged user that OpenSearch runs as.
    """
    if os.getuid() == 0:
        return Path("/var/cache/desireline")
    return Path.home() / ".cache" / "desireline"


def find_java(named: Path | None, version: str = VERSION) -> Path:
    """Return the home of a Java that OpenSearch runs on: the named one, else the oldest fit one.

    Raises:
        EngineUnavailableError: none is here, or the named one does not fit.

    """
    oldest, newest = _JAVA_FOR[version.partition(".")[0]]
    span = f"{oldest} or newer" if newest == 99 else f"{oldest} to {newest}"  # noqa: PLR2004 - no end
    if named is not None:
        if oldest <= _java_version(named) <= newest:
            return named
        raise EngineUnavailableError(
            f"the Java at {named} is not version {span}, which OpenSearch {version} needs",
            next_step=f"name the home of a JDK {oldest}+ in OPENSEARCH_JAVA_HOME",
        )
    fit = sorted((v, str(home)) for home, v in _javas() if oldest <= v <= newest)
    if not fit:
        raise EngineUnavailableError(
            f"no Java {span} is installed, which OpenSearch {version} needs",
            next_step=f"install a JDK {oldest}+ or name one in OPENSEARCH_JAVA_HOME",
        )
    return Path(fit[0][1])


def _javas() -> Iterator[tuple[Path, int]]:
    on_path = shutil.which("java")
    homes = [Path(on_path).resolve().parent.parent] if on_path else []
    for pattern in _JAVA_HOMES:
        homes += Path("/").glob(pattern.lstrip("/"))
    for home in homes:
        yield home, _java_version(home)


def _java_version(home: Path) -> int:
    """Return the feature release of a Java home, 0 where there is none."""
    try:
        release = (home / "release").read_text()
    except OSError:
        return 0
    found = re.search(r'JAVA_VERSION="(\d+)', release)
    return int(found[1]) if found and (home / "bin" / "java").exists() else 0


def assemble(cache: Path, java: Path, version: str = VERSION) -> Path:
    """Return the home of an unpacked node with k-NN, made on the first call.

    It is made beside its place and renamed into it, under a lock, so that a reader never
    sees half a node and two first starts make it once.

    Raises:
        EngineUnavailableError: Maven is missing or could not fetch an artifact.

    """
    home = cache / f"opensearch-{version}"
    if home.exists():
        return home
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f"opensearch-{version}.lock"):
            if not home.exists():
                _make(home, java, version)
    except OSError as error:
        raise EngineUnavailableError(
            f"the OpenSearch node could not be unpacked under {cache}: {error}",
            next_step="free some disk (1 GB is needed) or name a node in OPENSEARCH_URL",
        ) from error
    return home


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(home: Path, java: Path, version: str) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="making-") as folder:
        making = Path(folder)
        server = _fetch(f"{_SERVER}:{version}:zip", making)
        knn = _fetch(f"{_KNN}:{version}.0:zip", making)
        with zipfile.ZipFile(server) as archive:
            archive.extractall(making / "unpacked")
        (unpacked,) = (making / "unpacked").iterdir()
        for program in (unpacked / "bin").iterdir():
            program.chmod(0o755)
        if not (unpacked / "modules" / "lang-painless").exists():
            _add_painless(unpacked, making, version)
        _install(unpacked, knn, java)
        _make_readable(unpacked)
        unpacked.rename(home)


def _add_painless(home: Path, making: Path, version: str) -> None:
    """Put the scripting module together, which the bare server of this version lacks."""
    module = home / "modules" / "lang-painless"
    module.mkdir()
    group = "org.opensearch.plugin"
    parts = (f"{group}:lang-painless", f"{group}:opensearch-scripting-painless-spi")
    needs = _PAINLESS_NEEDS.get(version.partition(".")[0], ())
    for artifact in (*(f"{part}:{version}" for part in parts), *needs):
        shutil.copy(_fetch(f"{artifact}:jar", making), module)
    described = {
        "description": "Painless, put together from its artifacts",
        "version": version,
        "opensearch.version": version,
        "name": "lang-painless",
        "classname": "org.opensearch.painless.PainlessPlugin",
        "java.version": "11",
        "custom.foldername": "",
        "extended.plugins": "",
        "has.native.controller": "false",
    }
    text = "".join(f"{key}={value}\n" for key, value in described.items())
    (module / "plugin-descriptor.properties").write_text(text)
    allowed = ("createClassLoader", "getClassLoader")
    grants = "".join(f'  permission java.lang.RuntimePermission "{name}";\n' for name in allowed)
    (module / "plugin-security.policy").write_text(f"grant {{\n{grants}}};\n")


def _fetch(artifact: str, folder: Path) -> Path:
    """Copy one artifact into the folder with Maven and return the file."""
    if shutil.which("mvn") is None:
        raise EngineUnavailableError(
            "Maven (mvn) is not installed, so no OpenSearch node can be put together",
            next_step="install Maven, or name a running node in OPENSEARCH_URL",
        )
    into = folder / artifact.split(":")[1]
    _run(
        ["mvn", "-B", "-q", _COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={into}"],
        folder,
        f"Maven could not fetch {artifact}",
    )
    (file,) = into.iterdir()
    return file


def _install(home: Path, plugin: Path, java: Path) -> None:
    command = [str(home / "bin/opensearch-plugin"), "install", "--batch", plugin.as_uri()]
    _run(
        ["env", f"OPENSEARCH_JAVA_HOME={java}", *command],
        home,
        "the k-NN plugin could not be installed",
    )


def _run(command: list[str], folder: Path, failure: str) -> None:
    done = subprocess.run(  # noqa: S603 - fixed programs, our own arguments
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise EngineUnavailableError(
            f"{failure}: {' / '.join(said[-3:]) or 'it said nothing'}",
            next_step="mend that, or name a running node in OPENSEARCH_URL",
        )


def _make_readable(home: Path) -> None:
    """Let any user read and run the home: the node never runs as root."""
    for path in [home, *home.rglob("*")]:
        mode = path.stat().st_mode
        path.chmod(mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444))
