"""Checks the tokens of an external issuer, by the keys that it publishes.

https://openid.net/specs/openid-connect-discovery-1_0.html, https://www.rfc-editor.org/rfc/rfc7517
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
import msgspec
from msgspec import Struct

from freddy.server.accounts import tokens
from freddy.server.accounts.users import Identity, address
from freddy.server.core import errors
from freddy.server.ports.documents import Documents
from freddy.server.ports.world import Clock

_log = logging.getLogger(__name__)
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
"""What is signed with a private key that never leaves the issuer."""
_KINDS: Final = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
_CURVES: Final = {"ES256": ("P-256",), "EdDSA": ("Ed25519", "Ed448")}
_AGAIN = 60.0
"""Seconds between two looks at the issuer's keys, however many tokens name keys that nobody knows."""
_FRESH = 3600.0
"""For so long its keys are used without a look."""
_TRUSTED = 24 * 3600.0
"""For so long they are used where it cannot be looked; one that it has taken back is trusted no longer."""
_LEEWAY = 30.0
"""Seconds by which clocks may differ."""
_MOST_KEYS = 100
_LONGEST_NAME = 256
_RSA_BITS = 2048


class Accepted(Struct, frozen=True):
    """Which tokens: of this issuer, for this audience. The other two are names of claims."""

    issuer: str
    audience: str
    email_claim: str = "email"
    name_claim: str = "name"


class Oidc:
    def __init__(self, documents: Documents, accepted: Accepted, *, clock: Clock) -> None:
        self.issuer = accepted.issuer
        self._documents = documents
        self._accepted = accepted
        self._clock = clock
        self._keys: Mapping[str, _Key] = {}
        self._asked = self._fetched = -_TRUSTED
        self._failed = False
        self._turn = asyncio.Lock()

    async def read(self, token: str) -> Identity:
        """Raises `errors.NotAuthenticated`; `errors.ProviderUnavailable` where the issuer's keys cannot be had."""
        try:
            head = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise tokens.refused() from None
        algorithm, name = head.get("alg"), head.get("kid", "")
        if algorithm not in ALGORITHMS or "crit" in head or not isinstance(name, str) or len(name) > _LONGEST_NAME:
            raise tokens.refused()
        key = await self._key(name, algorithm)
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                issuer=self._accepted.issuer,
                audience=self._accepted.audience,
                # The times are compared with our own clock.
                options={
                    "require": ["iss", "sub", "aud", "exp"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError:
            raise tokens.refused() from None
        self._check_times(claims)
        return self._identity(claims)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock.now()
        for name in ("exp", "nbf", "iat"):
            if name in claims and not tokens.is_time(claims[name]):
                raise tokens.refused()
        if claims["exp"] <= now - _LEEWAY:
            raise tokens.expired()
        if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + _LEEWAY:
            raise tokens.refused()

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        email, name = claims.get(self._accepted.email_claim), claims.get(self._accepted.name_claim)
        subject = claims["sub"]
        if not subject:
            raise tokens.refused()
        return Identity(
            issuer=self._accepted.issuer,
            subject=subject,
            # Whoever may claim any address could take somebody else's.
            email=_address(email) if claims.get("email_verified") is True else None,
            name=name[:200] if isinstance(name, str) else "",
        )

    async def _key(self, name: str, algorithm: str) -> "_Key":
        known = self._fitting(name, algorithm)
        if known is None or self._age() >= _FRESH:
            async with self._turn:
                if self._clock.monotonic() - self._asked >= _AGAIN:
                    await self._fetch()
            known = self._fitting(name, algorithm)
        if known is not None and self._age() < _TRUSTED:
            return known
        if self._failed:
            raise errors.ProviderUnavailable(
                "The issuer of the token cannot be asked for its keys",
                code="issuer_unavailable",
                details="try again later",
                retry_after=_AGAIN,
            )
        raise tokens.refused()

    def _age(self) -> float:
        return self._clock.monotonic() - self._fetched

    def _fitting(self, name: str, algorithm: str) -> "_Key | None":
        """The key of this name; without a name the only one of its kind."""
        if name:
            key = self._keys.get(name)
            return key if key is not None and key.fits(algorithm) else None
        fitting = [key for key in self._keys.values() if key.fits(algorithm)]
        return fitting[0] if len(fitting) == 1 else None

    async def _fetch(self) -> None:
        """Keys known before stay where it fails."""
        self._asked = self._clock.monotonic()
        issuer = self._accepted.issuer
        try:
            found = _object(await self._documents.get(issuer.rstrip("/") + "/.well-known/openid-configuration"))
            place = found.get("jwks_uri")
            if found.get("issuer") != issuer or not isinstance(place, str):
                raise errors.ProviderUnavailable(f"The issuer calls itself {str(found.get('issuer'))[:200]!r}")
            if urlsplit(issuer).scheme == "https" and urlsplit(place).scheme != "https":
                raise errors.ProviderUnavailable("The issuer's keys are not behind https")
            self._keys = _read(_object(await self._documents.get(place)))
        except errors.FreddyError as error:
            _log.warning("issuer_unavailable", extra={"issuer": issuer, "reason": error.message})
            self._failed = True
            return
        self._failed = False
        self._fetched = self._clock.monotonic()


class _Key(Struct, frozen=True):
    """`kind`, `curve` and `algorithm` as published: the last two may be missing."""

    key: Any
    kind: object
    curve: object
    algorithm: object

    def fits(self, algorithm: str) -> bool:
        if self.kind != _KINDS[algorithm] or self.algorithm not in (None, algorithm, self.curve):
            return False
        if algorithm == "RS256":
            return bool(self.key.key_size >= _RSA_BITS)
        return self.curve in _CURVES[algorithm]


def _read(found: Mapping[str, Any]) -> dict[str, _Key]:
    """Its keys by name. Those of kinds that are not used here are left out."""
    listed = found.get("keys")
    keys: dict[str, _Key] = {}
    for place, each in enumerate(listed[:_MOST_KEYS] if isinstance(listed, list) else ()):
        if not isinstance(each, dict) or each.get("kty") not in _KINDS.values() or each.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(each).key
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        name = str(each.get("kid") or f"\0{place}")
        keys[name] = _Key(key, each["kty"], each.get("crv"), each.get("alg"))
    if not keys:
        raise errors.ProviderUnavailable("The issuer publishes no key that can be used")
    return keys


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        raise errors.ProviderUnavailable("The issuer did not answer with a JSON object") from None


def _address(claimed: object) -> str | None:
    if not isinstance(claimed, str):
        return None
    try:
        return address(claimed)
    except errors.InvalidValue:
        return None
