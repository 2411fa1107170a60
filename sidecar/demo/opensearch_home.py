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
_SERVER = f"org.opensearch.distribution.integ-test-zip:opensearch:{VERSION}:zip"
_KNN = f"org.opensearch.plugin:opensearch-knn:{VERSION}.0:zip"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_OLDEST_JAVA = 21
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


def find_java(named: Path | None) -> Path:
    """Return the home of a Java that OpenSearch runs on: the named one, else the oldest fit one.

    Raises:
        EngineUnavailableError: none is here, or the named one does not fit.

    """
    if named is not None:
        if _java_version(named) >= _OLDEST_JAVA:
            return named
        raise EngineUnavailableError(
            f"the Java at {named} is not version {_OLDEST_JAVA} or newer",
            next_step=f"name the home of a JDK {_OLDEST_JAVA}+ in OPENSEARCH_JAVA_HOME",
        )
    fit = sorted((v, str(home)) for home, v in _javas() if v >= _OLDEST_JAVA)
    if not fit:
        raise EngineUnavailableError(
            f"no Java {_OLDEST_JAVA} or newer is installed",
            next_step=f"install a JDK {_OLDEST_JAVA}+ or name one in OPENSEARCH_JAVA_HOME",
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


def assemble(cache: Path, java: Path) -> Path:
    """Return the home of an unpacked node with k-NN, made on the first call.

    It is made beside its place and renamed into it, under a lock, so that a reader never
    sees half a node and two first starts make it once.

    Raises:
        EngineUnavailableError: Maven is missing or could not fetch an artifact.

    """
    home = cache / f"opensearch-{VERSION}"
    if home.exists():
        return home
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f"opensearch-{VERSION}.lock"):
            if not home.exists():
                _make(home, java)
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


def _make(home: Path, java: Path) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="making-") as folder:
        making = Path(folder)
        server, knn = _fetch(_SERVER, making), _fetch(_KNN, making)
        with zipfile.ZipFile(server) as archive:
            archive.extractall(making / "unpacked")
        (unpacked,) = (making / "unpacked").iterdir()
        for program in (unpacked / "bin").iterdir():
            program.chmod(0o755)
        _install(unpacked, knn, java)
        _make_readable(unpacked)
        unpacked.rename(home)


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
