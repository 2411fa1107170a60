"""What a user may say about models that machines share, and about who signs them."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, JsonValue, model_validator

from desireline.sidecar.configuration.paths import ConfigPath
from desireline.sidecar.configuration.settings import Seconds, Settings
from desireline.trainer.models.shared import LARGEST_MODEL
from desireline.trainer.models.signing import PublicKey

_SECRET = ("key", "password", "sas_token", "secret", "token", "account_key", "connection_string")


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("expected no user, password or query here; name them in registry.secrets")
    if "::" in url or not (parts.netloc or url.startswith("/") or parts.path.startswith("/")):
        raise ValueError('expected an address such as "s3://bucket/models", or a folder from /')
    return url.rstrip("/")


def _public_key(text: str) -> str:
    return PublicKey.parse(text).text


class RegistryConfig(Settings):
    """Where models are shared with other machines, and whose models are taken."""

    url: Annotated[str, AfterValidator(_address)] | None = Field(
        default=None,
        examples=["s3://search-models/products"],
        description="Any address of fsspec, or a folder that machines share; left out: models stay"
        " on this machine. What is here serves without it.",
    )
    options: dict[str, JsonValue] = Field(
        default={},
        examples=[{"endpoint_url": "https://storage.example.org"}],
        description="Options of fsspec's file system; no secrets.",
    )
    secrets: dict[str, str] = Field(
        default={},
        examples=[{"key": "MODELS_KEY", "secret": "MODELS_SECRET"}],
        description="Options that are secret: the environment variable that holds each.",
    )
    timeout: Seconds = Field(
        default=60.0,
        gt=0,
        description="How long nothing may move on the way there or back before it is given up.",
    )
    largest_model: int = Field(
        default=LARGEST_MODEL, ge=1, description="Bytes; a larger model is not taken."
    )
    signing_key_env: str | None = Field(
        default=None,
        examples=["DESIRELINE_SIGNING_KEY"],
        description="Environment variable that holds the private key (PEM) by which models are"
        " signed when they are shared.",
    )
    signing_key_file: ConfigPath | None = Field(
        default=None,
        examples=["/run/secrets/desireline-signing.pem"],
        description="File that holds it; nobody else may read it.",
    )
    trusted_keys: tuple[Annotated[str, AfterValidator(_public_key)], ...] = Field(
        default=(),
        examples=[["MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]],
        description="Public keys whose signatures count, as `desireline models keygen` prints"
        " them; several while a key is changed.",
    )
    require_signature: bool = Field(
        default=False,
        description="Whether a model from elsewhere must be signed by one of trusted_keys.",
    )

    @model_validator(mode="after")
    def _complete(self) -> "RegistryConfig":
        if self.signing_key_env is not None and self.signing_key_file is not None:
            raise ValueError("expected signing_key_env or signing_key_file, not both")
        if self.require_signature and not self.trusted_keys:
            raise ValueError("require_signature needs trusted_keys, or no model could be taken")
        for name in self.options:
            if name in _SECRET:
                raise ValueError(
                    f"options.{name} may be a secret; name the environment variable that holds it"
                    " in registry.secrets"
                )
        return self

    @property
    def signs(self) -> bool:
        """Whether this machine has a key to sign with."""
        return self.signing_key_env is not None or self.signing_key_file is not None
