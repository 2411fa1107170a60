"""The registry that a configuration names: this machine's folder, and what it shares."""

from functools import partial

from desireline.connectors.shared_folder import SharedFolder
from desireline.sidecar.config import Config, secret
from desireline.sidecar.configuration.registry import RegistryConfig
from desireline.sidecar.models.signing_keys import read_key
from desireline.trainer.models.shared import SharedModels
from desireline.trainer.models.signing import PublicKey, SigningKey, Trust
from desireline.trainer.registry import Registry


def open_registry(config: Config) -> Registry:
    """Return the registry; what it shares is asked nothing yet.

    Raises:
        ConfigError: a secret is missing.
        PluginMissingError: the package for such addresses is not installed.

    """
    table = config.registry
    trust = Trust(
        keys=tuple(map(PublicKey, table.trusted_keys)),
        required=table.require_signature,
        signs=table.signs,
    )
    if table.url is None:
        return Registry(config.models_dir, trust=trust, largest=table.largest_model)
    secrets = {name: secret(env, f"registry.secrets.{name}") for name, env in table.secrets.items()}
    folder = SharedFolder(table.url, options={**table.options, **secrets}, limit_s=table.timeout)
    shared = SharedModels(
        folder,
        trust=trust,
        signing_key=partial(signing_key, table),
        most_bytes=table.largest_model,
    )
    return Registry(config.models_dir, shared=shared, trust=trust, largest=table.largest_model)


def signing_key(table: RegistryConfig) -> SigningKey | None:
    """Read the key that signs; None where none is configured.

    Raises:
        ConfigError: the environment variable is not set.
        SignatureError: it holds no key, or others may read its file.

    """
    if table.signing_key_env is not None:
        place = f"the environment variable {table.signing_key_env} (registry.signing_key_env)"
        return SigningKey(secret(table.signing_key_env, "registry.signing_key_env"), place=place)
    if table.signing_key_file is None:
        return None
    return read_key(table.signing_key_file)
