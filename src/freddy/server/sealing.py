"""Seals secrets with AES-256-GCM: https://csrc.nist.gov/pubs/sp/800/38/d/final

What is sealed is a byte of version, 8 bytes that name the key, 12 of nonce, then the ciphertext with its tag.
"""

import asyncio
import contextlib
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from freddy.server.core import errors

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SHORTEST = 32
"""Characters of a secret key: 24 random bytes in base64."""
_VERSION = b"\x01"
_NAME = 8
_NONCE = 12
_HEAD = len(_VERSION) + _NAME + _NONCE


class AesSealer:
    """The port `Sealer`. Of `keys` the first seals and all open; the one in `file` opens too.

    Without `keys` the one in `file` seals; it is made when it is first needed. Nothing is derived before the first
    secret: `cryptography` takes 9 MB, and many servers seal nothing.
    """

    def __init__(self, keys: Sequence[str], *, file: Path) -> None:
        self._file = file
        self._keys = tuple(keys)
        self._ciphers: dict[bytes, AESGCM] = {}
        self._sealing: bytes | None = None

    async def seal(self, secret: str, bound_to: Sequence[str]) -> bytes:
        self._learn_given()
        if self._sealing is None:
            self._sealing = self._learn(await asyncio.to_thread(_kept, self._file))
        head = _VERSION + self._sealing + secrets.token_bytes(_NONCE)
        cipher = self._ciphers[self._sealing]
        return head + cipher.encrypt(head[-_NONCE:], secret.encode(), _context(head, bound_to))

    async def open(self, sealed: bytes, bound_to: Sequence[str]) -> str:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 — not before it is needed

        self._learn_given()
        head, rest = sealed[:_HEAD], sealed[_HEAD:]
        if len(head) < _HEAD or head[:1] != _VERSION:
            raise _unreadable("A kept secret is not of a form that this version of Freddy writes")
        name = head[1 : 1 + _NAME]
        if name not in self._ciphers and (known := await asyncio.to_thread(_read, self._file)):
            # The command line may have made the file after this process had looked.
            self._learn(known)
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise _unreadable("A kept secret was sealed with a secret key that this server does not have")
        try:
            return cipher.decrypt(head[-_NONCE:], rest, _context(head, bound_to)).decode()
        except InvalidTag:
            raise _unreadable("A kept secret is damaged, or stands where it was not sealed for") from None

    def _learn_given(self) -> None:
        keys, self._keys = self._keys, ()
        for key in keys:
            name = self._learn(key)
            self._sealing = self._sealing or name

    def _learn(self, key: str) -> bytes:
        """The name of the key, by which what it sealed is known."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 — not before it is needed

        derived = _derived(key, "secrets", length=32 + _NAME)
        name = derived[32:]
        self._ciphers[name] = AESGCM(derived[:32])
        return name


class DerivedKeys:
    """The port `SigningKeys`: keys for other purposes, derived from the same secret keys as those that seal."""

    def __init__(self, keys: Sequence[str], *, file: Path) -> None:
        self._keys = keys
        self._file = file

    async def derived(self, purpose: str) -> Sequence[bytes]:
        keys = [*self._keys]
        try:
            kept = await asyncio.to_thread(_read if keys else _kept, self._file)
        except errors.StorageUnavailable:
            if not keys:
                raise
            # Those that were given are enough, where another user has the file.
            kept = None
        if kept is not None and kept not in keys:
            keys.append(kept)
        return [_derived(key, purpose, length=32) for key in keys]


def _derived(key: str, purpose: str, *, length: int) -> bytes:
    """Secret keys are long and random, so one round of derivation is enough: https://www.rfc-editor.org/rfc/rfc5869"""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 — not before it is needed
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    info = f"freddy {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(key.encode())


def _context(head: bytes, bound_to: Sequence[str]) -> bytes:
    # As JSON, so that no two lists of words are the same bytes.
    return head + msgspec.json.encode(tuple(bound_to))


def _kept(file: Path) -> str:
    """The secret key in the file, which is made where there is none."""
    try:
        return _read(file) or _make(file)
    except OSError as error:
        raise errors.StorageUnavailable(
            f"The secret key cannot be kept in {str(file)!r}: {error.strerror}",
            details="let the server's user write there, or set FREDDY_SECRET_KEY",
        ) from error


def _read(file: Path) -> str | None:
    try:
        key = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise errors.StorageUnavailable(
            f"The secret key in {str(file)!r} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}",
            details="let the server's user read the file, or set FREDDY_SECRET_KEY",
        ) from error
    if len(key) < SHORTEST:
        raise errors.StorageUnavailable(
            f"The file {str(file)!r} holds no secret key",
            details="restore it from a backup; or delete it, and store again what it had sealed",
        )
    return key


def _make(file: Path) -> str:
    """Whole or not at all, for this machine's user alone; the first of two processes wins."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as half:
            half.write(secrets.token_urlsafe(32) + "\n")
            half.flush()
            os.fsync(half.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, file)
    finally:
        os.unlink(name)
    return file.read_text(encoding="ascii").strip()


def _unreadable(message: str) -> errors.StorageUnavailable:
    return errors.StorageUnavailable(
        message, details="add the secret key that sealed it to FREDDY_SECRET_KEY, or store the secret again"
    )
