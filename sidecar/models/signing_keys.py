"""Keys that sign models, made and read where nobody else may read them."""

import os
import stat
from pathlib import Path

from desireline.sidecar.errors import SidecarError
from desireline.trainer.errors import SignatureError
from desireline.trainer.models.signing import PublicKey, SigningKey, generate

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_key(file: Path) -> PublicKey:
    """Write a new private key that its owner alone can read; return the public one.

    Raises:
        SidecarError: the file is there already, or cannot be written.
        PluginMissingError: the extra `signing` is not installed.

    """
    pem = generate()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(pem)
    except OSError as error:
        raise SidecarError(
            f"the signing key cannot be written to {file}: {error.strerror}; no key was made",
            next_step="name a file that is not there yet, in a folder this user may write",
        ) from error
    return SigningKey(pem, place=str(file)).public


def read_key(file: Path) -> SigningKey:
    """Read a private key from its file.

    Raises:
        SignatureError: others may read it, or it holds no key.

    """
    try:
        with file.open(encoding="ascii") as opened:  # asked of the file that is read, not its name
            others_may_read = stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & _OTHERS
            pem = opened.read()
    except (OSError, UnicodeDecodeError) as error:
        raise SignatureError(
            f"the signing key {file} cannot be read ({type(error).__name__}); nothing was signed",
            next_step="mend registry.signing_key_file, or desireline models keygen FILE",
        ) from error
    if others_may_read:
        raise SignatureError(
            f"others may read the signing key {file}; nothing was signed",
            next_step=f"chmod 600 {file}; if somebody may have read it, make another",
        )
    return SigningKey(pem, place=str(file))
