"""The configuration: one file, checked whole, every wrong field reported at once.

Only this module reads the environment: `Environment` holds the variables desireline knows, and
the auth tables name the variables or files that hold secrets. No secret is ever in the file.
"""

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator

from desireline.sidecar.configuration.errors import ConfigError, describe
from desireline.sidecar.configuration.hooks import host_of
from desireline.sidecar.configuration.paths import ConfigPath
from desireline.sidecar.configuration.registry import RegistryConfig
from desireline.sidecar.configuration.settings import Seconds, Settings
from desireline.sidecar.configuration.target import TargetConfig
from desireline.sidecar.errors import TargetUnknownError

CONFIG_FILE = Path("desireline.toml")
_FOR_CHILDREN = {"HOME", "LANG", "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "TZ", "USER"}
_FOR_CHILDREN_PREFIXES = (
    *("CUDA_", "HF_", "LC_", "MKL_", "NVIDIA_", "OMP_", "SSL_CERT_", "TOKENIZERS_", "XDG_"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
#: Beginnings of the variables of trackers that do not begin with the tracker's own name.
_OF_TRACKERS = {
    "azure_ml": ("MLFLOW_", "AZUREML_"),
    "comet_ml": ("COMET_",),
    "dagshub": ("DAGSHUB_", "MLFLOW_"),
    "dvclive": ("DVC", "HF_DVCLIVE_"),
    "kubeflow": ("KUBEFLOW_",),
}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The environment variables desireline looks at, secrets apart."""

    #: OPENSEARCH_URL: a running node for tests, trials and the demo.
    opensearch_url: str | None
    #: OPENSEARCH_JAVA_HOME: home of a Java 21 or newer.
    opensearch_java_home: Path | None
    #: OPENSEARCH_VERSION: which one is started where none is given.
    opensearch_version: str | None
    #: CI: set on machines that nobody watches.
    ci: bool
    #: XDG_CACHE_HOME or ~/.cache, and our folder in it: what may be fetched or made again.
    cache_dir: Path


def environment() -> Environment:
    """Read the environment as it is now."""
    found = os.environ
    return Environment(
        opensearch_url=found.get("OPENSEARCH_URL") or None,
        opensearch_java_home=_path(found.get("OPENSEARCH_JAVA_HOME")),
        opensearch_version=found.get("OPENSEARCH_VERSION") or None,
        ci=found.get("CI", "").lower() not in {"", "0", "false"},
        cache_dir=(_path(found.get("XDG_CACHE_HOME")) or Path.home() / ".cache") / "desireline",
    )


def child_environment(trackers: Iterable[str] = ()) -> dict[str, str]:
    """Return what a child process needs to run and to find models; no secret of the cluster.

    Trackers that a fit reports to find their own variables, `WANDB_…` for wandb.
    """
    theirs = [prefix for name in trackers for prefix in _OF_TRACKERS.get(name, (f"{name}_",))]
    prefixes = (*_FOR_CHILDREN_PREFIXES, *map(str.upper, theirs))
    return {
        name: value
        for name, value in os.environ.items()
        if name in _FOR_CHILDREN or name.startswith(prefixes)
    }


def _path(value: str | None) -> Path | None:
    return Path(value).expanduser() if value else None


def secret(variable: str, place: str) -> str:
    """Read a secret from the environment. Raises ConfigError when it is not there."""
    return _secret_from(variable, None, place)


def _secret_from(variable: str | None, file: Path | None, place: str) -> str:
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{place}: {file} cannot be read; nothing was sent") from error
    value = os.environ.get(variable or "")
    if not value:
        raise ConfigError(
            f"{place}: the environment variable {variable} is not set; nothing was sent",
            next_step=f"export {variable}=… and run the same command again",
        )
    return value


class AuthConfig(Settings):
    """How desireline shows the cluster who it is."""

    kind: Literal["none", "basic", "api_key"] = Field(
        default="none", description="none, basic (user and password) or api_key."
    )
    user: str | None = Field(
        default=None, examples=["desireline"], description="User name, for basic."
    )
    password_env: str | None = Field(
        default=None,
        examples=["DESIRELINE_PASSWORD"],
        description="Environment variable that holds the password, for basic.",
    )
    password_file: ConfigPath | None = Field(
        default=None,
        examples=["/run/secrets/desireline"],
        description="File that holds the password, for basic.",
    )
    key_env: str | None = Field(
        default=None,
        examples=["DESIRELINE_KEY"],
        description="Environment variable that holds the key, for api_key.",
    )

    @model_validator(mode="after")
    def _complete(self) -> "AuthConfig":
        if self.kind == "basic":
            if not self.user:
                raise ValueError('kind "basic" needs user')
            if (self.password_env is None) == (self.password_file is None):
                raise ValueError('kind "basic" needs either password_env or password_file')
        if self.kind == "api_key" and not self.key_env:
            raise ValueError('kind "api_key" needs key_env')
        return self

    def password(self) -> str:
        """Read the password for basic. Raises ConfigError when it is not there."""
        return _secret_from(self.password_env, self.password_file, "cluster.auth")

    def key(self) -> str:
        """Read the key for api_key. Raises ConfigError when it is not there."""
        return _secret_from(self.key_env, None, "cluster.auth")


def _cluster_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        port_is_valid = False
    if not port_is_valid or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError('expected an address such as "https://search.example.org:9200"')
    if parts.username or parts.password:
        raise ValueError("expected no user or password here; name them in cluster.auth")
    return url.rstrip("/")


class ClusterConfig(Settings):
    """The search engine that holds the indexes."""

    engine: Literal["opensearch", "lancedb"] = Field(
        default="lancedb",
        description="opensearch when url is given, else lancedb (embedded, no server).",
    )
    url: Annotated[str, AfterValidator(_cluster_url)] | None = Field(
        default=None,
        examples=["https://search.example.org:9200"],
        description="Address of OpenSearch.",
    )
    path: ConfigPath | None = Field(
        default=None,
        examples=["./index"],
        description="Folder of the embedded engine; left out: index/ in data_dir.",
    )
    auth: AuthConfig = Field(default=AuthConfig(), description="How desireline shows who it is.")
    ca_certs: ConfigPath | None = Field(
        default=None,
        examples=["./ca.pem"],
        description="Certificates to trust beside the system's, as a PEM file.",
    )
    verify_certs: bool = Field(
        default=True, description="Whether the cluster's certificate must be valid."
    )
    knn_engine: Literal["lucene", "faiss"] = Field(
        default="lucene", description="The k-NN engine of new slots."
    )

    timeout: Seconds = Field(
        default=30.0,
        gt=0,
        description="How long one request may take; without an answer it is sent again later.",
    )
    state: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,99}$")] = Field(
        default="state",
        description="Sidecars that name the same state share generations, leases and keys; on"
        " OpenSearch it is the index .desireline-<state>.",
    )

    @model_validator(mode="before")
    @classmethod
    def _engine_by_url(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "engine" not in values and "url" in values:
            return {**values, "engine": "opensearch"}
        return values

    @model_validator(mode="after")
    def _complete(self) -> "ClusterConfig":
        if self.engine == "opensearch" and self.url is None:
            raise ValueError('engine "opensearch" needs url')
        if self.engine == "lancedb" and self.url is not None:
            raise ValueError('engine "lancedb" is embedded and takes path, not url')
        if self.engine == "opensearch" and self.path is not None:
            raise ValueError('path is for engine "lancedb"; OpenSearch takes url')
        return self


class ServerConfig(Settings):
    """The HTTP server of `desireline serve`."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8765, ge=0, le=65535, description="Port to listen on; 0 takes a free one."
    )
    allow_remote: bool = Field(
        default=False,
        description="Whether an address other machines can reach may be bound without TLS.",
    )
    https: bool = Field(
        default=False, description="Whether people reach the page by HTTPS (a proxy's, or ours)."
    )
    tls_certificate: ConfigPath | None = Field(
        default=None,
        examples=["./server.pem"],
        description="PEM file; with tls_key the server speaks HTTPS itself.",
    )
    tls_key: ConfigPath | None = Field(
        default=None,
        examples=["./server.key"],
        description="PEM file of the certificate's private key.",
    )
    max_body_bytes: int = Field(
        default=1_000_000, ge=1024, description="Larger request bodies are refused."
    )
    max_texts: int = Field(
        default=256, ge=1, description="Texts in one embeddings request, clauses in one search."
    )
    threads: int = Field(
        default=8, ge=1, le=512, description="Threads for everything that may block."
    )

    @model_validator(mode="after")
    def _local_or_encrypted(self) -> "ServerConfig":
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together; one is missing")
        if self.host not in _LOOPBACK and not (self.allow_remote or self.tls_key):
            raise ValueError(
                f"host {self.host!r} is reachable from other machines; expected 127.0.0.1, a TLS"
                " certificate and key, or allow_remote = true"
            )
        return self


class HooksConfig(Settings):
    """Whom the webhooks of the targets may reach."""

    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        examples=[["hooks.example.org"]],
        description="Hosts a webhook may name; they are called at public addresses only.",
    )
    private_hosts: tuple[str, ...] = Field(
        default=(),
        examples=[["alerts.internal"]],
        description="Hosts a webhook may name that may also have private or loopback addresses.",
    )

    @property
    def hosts(self) -> frozenset[str]:
        """Every host a webhook may name."""
        return frozenset(map(str.lower, (*self.allowed_hosts, *self.private_hosts)))


class Config(Settings):
    """Everything one desireline.toml says."""

    version: Literal[1] = Field(default=1, description="Version of this file's format.")
    cluster: ClusterConfig = Field(default=ClusterConfig(), description="The search engine.")
    data_dir: ConfigPath = Field(
        default=Path("desireline-data"),
        validate_default=True,
        description="Where models, caches and the embedded state are kept on this machine.",
    )
    encoder_threads: int | None = Field(
        default=None,
        ge=1,
        examples=[3],
        description="Threads that encode documents; left out: one a processor. One less keeps"
        " searches quick where the search engine shares the machine.",
    )
    server: ServerConfig = Field(default=ServerConfig(), description="The HTTP server.")
    hooks: HooksConfig = Field(
        default=HooksConfig(), description="Whom the webhooks of the targets may reach."
    )
    registry: RegistryConfig = Field(
        default=RegistryConfig(),
        description="Where models are shared with other machines, and whose models are taken.",
    )
    targets: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")], TargetConfig] = (
        Field(min_length=1, description="What is tuned: one table a target, by its name.")
    )

    @model_validator(mode="after")
    def _webhooks_are_allowed(self) -> "Config":
        hooks = [hook for target in self.targets.values() for hook in target.hooks]
        for host in (host_of(hook.webhook) for hook in hooks if hook.webhook):
            if host not in self.hooks.hosts:
                raise ValueError(
                    f"a webhook names {host}; expected a host of hooks.allowed_hosts or"
                    " hooks.private_hosts"
                )
        return self

    def target(self, name: str) -> TargetConfig:
        """Return the target of this name."""
        if name not in self.targets:
            raise TargetUnknownError(
                f"no target is called {name!r}; configured: {', '.join(self.targets)}"
            )
        return self.targets[name]

    @property
    def models_dir(self) -> Path:
        """The registry's folder."""
        return self.data_dir / "models"

    @property
    def cache_dir(self) -> Path:
        """The embedding cache's folder."""
        return self.data_dir / "cache"

    @property
    def events_dir(self) -> Path:
        """The archives of pulled events, one folder a target."""
        return self.data_dir / "events"

    @property
    def state_file(self) -> Path:
        """The embedded state store."""
        return self.data_dir / "state.sqlite"

    @property
    def index_dir(self) -> Path:
        """The embedded engine's folder."""
        return self.cluster.path or self.data_dir / "index"


def load_config(path: Path = CONFIG_FILE) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: the file is missing, is not TOML, or holds wrong fields (all are named).

    """
    return parse_config(_read(path), source=path.name, folder=path.absolute().parent)


def parse_config(values: Mapping[str, Any], *, source: str, folder: Path) -> Config:
    """Check a configuration; relative paths are read from `folder`.

    Raises:
        ConfigError: some fields are wrong; one line each.

    """
    try:
        return Config.model_validate(values, context={"folder": folder})
    except ValidationError as error:
        raise describe(error, source=source, root=Config) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no configuration file at {path}",
            next_step="desireline init writes one; --config names another place",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as a text file: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path.name} is not valid TOML: {error}", next_step="mend that line"
        ) from error
