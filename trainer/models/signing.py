"""Who stands behind a model: Ed25519 signatures (RFC 8032) over the bytes of its manifest.

A manifest names the SHA-256 of every file, so who signs it signs the model. The bytes are signed
as they lie in the file: no second reading of them can mean anything else. Keys are those of
``openssl genpkey -algorithm ed25519``; a public key is written as the one line between the lines
BEGIN and END of its PEM file.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from desireline.connectors.errors import PluginMissingError
from desireline.trainer.errors import SignatureError

SIGNATURE_FILE = re.compile(r"signature-([0-9a-f]{16})\.json")
MOST_SIGNATURE_BYTES = 4096
#: Signed before the manifest, so that a signature of something else never fits one.
_PURPOSE = b"desireline model manifest 1\n"
#: DER of an Ed25519 public key without its 32 bytes (RFC 8410).
_DER = bytes.fromhex("302a300506032b6570032100")
_KEY_BYTES = 32


class Signature(BaseModel):
    """One signature, as in its file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    algorithm: Literal["ed25519"] = "ed25519"
    #: `PublicKey.id` of the key that verifies it.
    key: str = Field(pattern=r"^[0-9a-f]{16}$")
    #: Base64 of 64 bytes.
    signature: str = Field(max_length=100)

    @property
    def file(self) -> str:
        """Name of its file beside the manifest: each key has its own."""
        return f"signature-{self.key}.json"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """By which others know a signature."""

    #: The line of its PEM file.
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check the line. Raises ValueError with what was expected."""
        try:
            der = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            der = b""
        if not der.startswith(_DER) or len(der) != len(_DER) + _KEY_BYTES:
            raise ValueError(
                "expected an Ed25519 public key: 60 characters that begin with MCowBQYDK2VwAyEA,"
                " as `desireline models keygen` prints them"
            )
        return cls(text)

    @property
    def id(self) -> str:
        """Sixteen digits by which people and files tell keys apart."""
        return hashlib.sha256(self._der).hexdigest()[:16]

    def verifies(self, manifest: bytes, signature: Signature) -> bool:
        """Whether the holder of the private key signed exactly these bytes.

        Raises:
            PluginMissingError: the extra `signing` is not installed.

        """
        ed25519, invalid = _library()
        try:
            raw = base64.b64decode(signature.signature, validate=True)
            key = ed25519.Ed25519PublicKey.from_public_bytes(self._der[len(_DER) :])
            key.verify(raw, _PURPOSE + manifest)
        except (binascii.Error, ValueError, invalid):
            return False
        return True

    @property
    def _der(self) -> bytes:
        return base64.b64decode(self.text)


class SigningKey:
    """A private key; it is never shown, written or logged."""

    def __init__(self, pem: str, *, place: str) -> None:
        """Read a PEM text.

        Raises:
            SignatureError: it holds no Ed25519 key; the message names the place, not the text.
            PluginMissingError: the extra `signing` is not installed.

        """
        ed25519, _ = _library()
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

        try:
            key = serialization.load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise SignatureError(
                f"{place} holds no Ed25519 private key in PEM without a pass phrase; nothing was"
                " signed",
                next_step="desireline models keygen FILE makes one",
            )
        self._key: Any = key
        der = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public = PublicKey.parse(base64.b64encode(der).decode())

    def sign(self, manifest: bytes) -> Signature:
        """Sign a manifest as it lies in its file."""
        raw: bytes = self._key.sign(_PURPOSE + manifest)
        return Signature(key=self.public.id, signature=base64.b64encode(raw).decode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose models are taken from elsewhere."""

    keys: tuple[PublicKey, ...] = ()
    #: Whether a model must be signed by one of them.
    required: bool = False
    #: Whether this machine signs models itself.
    signs: bool = False

    @property
    def admits_unsigned(self) -> bool:
        """Whether an encoder that nobody signed may be imported: who can sign vouches for it."""
        return self.signs or not self.required

    def check(self, manifest: bytes, signatures: dict[str, bytes], *, model: str) -> None:
        """Look at a model's signatures, by file name.

        Raises:
            SignatureError: a trusted key's signature is of something else, or one is needed and
                none is there.
            PluginMissingError: the extra `signing` is not installed.

        """
        found = 0
        for key in self.keys:
            text = signatures.get(f"signature-{key.id}.json")
            if text is None:
                continue
            if not _verified(key, manifest, text):
                raise SignatureError(
                    f"the signature of the model {model} by the key {key.id} is not of this"
                    " model; it was not taken",
                    next_step="someone changed the model or its signature: have it shared again by"
                    " the machine that made it",
                )
            found += 1
        if self.required and not found:
            raise SignatureError(
                f"the model {model} is signed by none of the {len(self.keys)} keys in"
                " registry.trusted_keys, and registry.require_signature is on; it was not taken",
                next_step="desireline models push, where a trusted key is, signs and shares it",
            )


def generate() -> str:
    """Make a private key as PEM text. Raises PluginMissingError without the extra `signing`."""
    ed25519, _ = _library()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an extra

    pem: bytes = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode()


def signatures_in(folder: Path) -> dict[str, bytes]:
    """Return the signature files beside a manifest, by name."""
    return {
        path.name: path.read_bytes()[:MOST_SIGNATURE_BYTES]
        for path in sorted(folder.iterdir())
        if SIGNATURE_FILE.fullmatch(path.name) and path.is_file() and not path.is_symlink()
    }


def _verified(key: PublicKey, manifest: bytes, text: bytes) -> bool:
    try:
        signature = Signature.model_validate_json(text)
    except ValidationError:
        return False
    return signature.key == key.id and key.verifies(manifest, signature)


def _library() -> tuple[Any, type[Exception]]:
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    except ImportError as error:
        raise PluginMissingError(
            "signatures of models need the package cryptography; nothing was signed or taken",
            next_step="pip install 'desireline[signing]'",
        ) from error
    return ed25519, InvalidSignature
