"""Tokens of another issuer: a real one over HTTP, which signs, changes its keys, and goes away."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from freddy.server.accounts.oidc import Accepted, Oidc
from freddy.server.core import errors
from freddy.server.core.accounts import Organization
from freddy.server.fetching import Fetching
from freddy.server.http.auth import Issued
from people import Desk

AUDIENCE = "freddy-of-acme"


class Issuer:
    """Serves what it publishes on a port of its own."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.keys: dict[str, tuple[Any, str]] = {}
        self.more: list[dict[str, Any]] = []
        self.calls_itself: str | None = None
        self.status = 200
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/realm/"

    def add(self, name: str, algorithm: str = "RS256") -> None:
        makers = {
            "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }
        self.keys[name] = (makers[algorithm](), algorithm)

    def published(self) -> list[dict[str, Any]]:
        found = []
        for name, (private, algorithm) in self.keys.items():
            told = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True)
            found.append({**told, "kid": name, "use": "sig", "alg": algorithm})
        return found + self.more

    def token(self, name: str = "one", *, now: float, head: dict[str, Any] | None = None, **claims: Any) -> str:
        private, algorithm = self.keys[name]
        said = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "subject-1",
            "iat": int(now),
            "exp": int(now) + 600,
            "email": "ann@example.com",
            "email_verified": True,
            "name": "Ann",
            **claims,
        }
        said = {key: value for key, value in said.items() if value is not None}
        return jwt.encode(said, private, algorithm, headers={"kid": name, **(head or {})})

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode()
        self.asked.append(path)
        found = {
            "/realm/.well-known/openid-configuration": {
                "issuer": self.calls_itself or self.url,
                "jwks_uri": f"{self.url}keys",
            },
            "/realm/keys": {"keys": self.published()},
        }[path]
        body = json.dumps(found).encode()
        writer.write(
            b"HTTP/1.1 %d OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (self.status, len(body)) + body
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    issuer.add("one")
    await issuer.start()
    yield issuer
    await issuer.stop()


@pytest.fixture
async def house(desk: Desk, issuer: Issuer) -> AsyncIterator[Desk]:
    """A desk whose door takes the issuer's tokens."""
    await desk.store.add_organization(Organization(id="org_a", name="A", created_at=1))
    async with Fetching() as documents:
        oidc = Oidc(documents, Accepted(issuer.url, AUDIENCE), clock=desk.clock)
        desk.auth = desk.door(Issued(oidc, desk.office.users, organization_id="org_a", role="member"))
        yield desk


async def refused(house: Desk, token: str, code: str = "invalid_token") -> None:
    with pytest.raises(errors.NotAuthenticated) as error:
        await house.enter(token)
    assert error.value.code == code


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_token_of_the_issuer_makes_a_user_at_first_sight(house, issuer, algorithm):
    issuer.add("key", algorithm)
    token = issuer.token("key", now=house.clock.now())
    caller = await house.enter(token)
    again = await house.enter(token)
    assert caller.user_id == again.user_id
    assert (caller.organization_id, caller.roles, caller.session_id) == ("org_a", {"org_a": "member"}, None)
    standing = await house.people.get(caller.user_id)
    assert (standing.user.email, standing.user.name, standing.user.password) == ("ann@example.com", "Ann", None)
    assert (standing.user.issuer, standing.user.subject) == (issuer.url, "subject-1")
    assert issuer.asked == ["/realm/.well-known/openid-configuration", "/realm/keys"]


async def test_another_subject_is_another_user_whatever_the_address(house, issuer):
    now = house.clock.now()
    first = await house.enter(issuer.token(now=now))
    second = await house.enter(issuer.token(now=now, sub="subject-2"))
    assert first.user_id != second.user_id
    emails = {user.email for user in await house.people.list()}
    assert emails == {"ann@example.com", f"{second.user_id}@users.invalid"}


async def test_an_account_with_the_same_address_is_not_taken_over(house, issuer):
    known = await house.user("ann@example.com", role="owner")
    caller = await house.enter(issuer.token(now=house.clock.now()))
    assert caller.user_id != known.id
    assert caller.roles == {"org_a": "member"}


async def test_an_address_that_nobody_made_sure_of_is_not_kept(house, issuer):
    now = house.clock.now()
    for number, claims in enumerate(({"email_verified": False}, {"email_verified": "true"}, {"email_verified": None})):
        caller = await house.enter(issuer.token(now=now, sub=f"s{number}", **claims))
        standing = await house.people.get(caller.user_id)
        assert standing.user.email == f"{caller.user_id}@users.invalid"


async def test_a_deactivated_user_is_refused_and_a_removed_one_stays_removed(house, issuer):
    await house.user("boss@example.com", role="owner")
    token = issuer.token(now=house.clock.now())
    caller = await house.enter(token)
    await house.office.users.remove_member(None, "org_a", caller.user_id)
    assert (await house.enter(token)).organization_ids == ()
    await house.office.users.deactivate(None, caller.user_id)
    await refused(house, token)


async def test_wrong_claims_are_refused(house, issuer):
    now = house.clock.now()
    for wrong in (
        {"aud": "somebody-else"},
        {"aud": ["a", "b"]},
        {"aud": None},
        {"iss": "https://issuer.example"},
        {"iss": issuer.url.rstrip("/")},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"nbf": int(now) + 31},
        {"nbf": "x"},
        {"iat": int(now) + 31},
    ):
        await refused(house, issuer.token(now=now, **wrong))
    await refused(house, issuer.token(now=now, exp=int(now) - 30), "token_expired")
    assert await house.enter(issuer.token(now=now, exp=int(now) - 29, nbf=int(now) + 29))
    assert await house.enter(issuer.token(now=now, aud=["other", AUDIENCE]))


async def test_tricks_with_algorithms_are_refused(house, issuer):
    now = house.clock.now()
    good = issuer.token(now=now)
    assert await house.enter(good)
    claims = jwt.decode(good, options={"verify_signature": False})
    # Without a signature.
    await refused(house, jwt.encode(claims, None, "none", headers={"kid": "one"}))
    # With what is public as a shared secret.
    (published,) = issuer.published()
    modulus = published["n"].encode()
    await refused(house, jwt.encode(claims, modulus, "HS256", headers={"kid": "one"}))
    # With a key of somebody else, that the token brings along.
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own = jwt.get_algorithm_by_name("RS256").to_jwk(foreign.public_key(), as_dict=True)
    for head in ({"jwk": own}, {"jku": "http://127.0.0.1:9/keys"}, {"x5u": "http://127.0.0.1:9/x"}, {}):
        await refused(house, jwt.encode(claims, foreign, "RS256", headers={"kid": "one", **head}))
    # Of the right key by an algorithm that is not taken.
    private, _ = issuer.keys["one"]
    for algorithm in ("RS512", "PS256"):
        await refused(house, jwt.encode(claims, private, algorithm, headers={"kid": "one"}))
    # With an extension that must be understood.
    await refused(house, jwt.encode(claims, private, "RS256", headers={"kid": "one", "crit": ["b64"], "b64": True}))


async def test_a_shared_secret_among_the_published_keys_signs_nothing(house, issuer):
    issuer.more = [{"kty": "oct", "kid": "shared", "k": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg", "alg": "HS256"}]
    claims = jwt.decode(issuer.token(now=house.clock.now()), options={"verify_signature": False})
    await refused(house, jwt.encode(claims, b"x" * 32, "HS256", headers={"kid": "shared"}))


async def test_unknown_keys_are_asked_for_once_a_minute_at_most(house, issuer):
    now = house.clock.now()
    assert await house.enter(issuer.token(now=now))
    assert len(issuer.asked) == 2
    issuer.add("two")
    fresh = issuer.token("two", now=now)
    for _ in range(20):
        await refused(house, fresh)
    assert len(issuer.asked) == 2
    house.clock.advance(60)
    assert await house.enter(fresh)
    for kid in ("three", "../keys", "", "x" * 300, "\x00"):
        await refused(house, jwt.encode({"iss": issuer.url}, issuer.keys["two"][0], "RS256", headers={"kid": kid}))
    assert len(issuer.asked) == 4


async def test_many_first_requests_at_once_ask_the_issuer_once(house, issuer):
    token = issuer.token(now=house.clock.now())
    callers = await asyncio.gather(*(house.enter(token) for _ in range(20)))
    assert len({caller.user_id for caller in callers}) == 1
    assert len(issuer.asked) == 2


async def test_a_key_that_the_issuer_took_back_is_trusted_no_longer_than_an_hour(house, issuer):
    token = issuer.token(now=house.clock.now(), exp=int(house.clock.now()) + 90_000)
    assert await house.enter(token)
    issuer.keys.clear()
    issuer.add("two")
    assert await house.enter(token)
    house.clock.advance(3600)
    await refused(house, token)


async def test_while_the_issuer_is_away_its_known_keys_hold_for_a_day(house, issuer):
    token = issuer.token(now=house.clock.now(), exp=int(house.clock.now()) + 200_000)
    assert await house.enter(token)
    await issuer.stop()
    house.clock.advance(23 * 3600)
    assert await house.enter(token)
    house.clock.advance(3600)
    with pytest.raises(errors.ProviderUnavailable) as away:
        await house.enter(token)
    assert away.value.code == "issuer_unavailable"
    await issuer.start()
    house.clock.advance(60)
    assert await house.enter(token)


async def test_an_issuer_that_cannot_be_asked_is_503_and_not_401(house, issuer):
    issuer.status = 500
    token = issuer.token(now=house.clock.now())
    with pytest.raises(errors.ProviderUnavailable):
        await house.enter(token)
    issuer.status, issuer.calls_itself = 200, "https://somebody.example/"
    house.clock.advance(60)
    with pytest.raises(errors.ProviderUnavailable):
        await house.enter(token)
    issuer.calls_itself = None
    house.clock.advance(60)
    assert await house.enter(token)


async def test_own_tokens_and_keys_hold_beside_those_of_the_issuer(house, issuer):
    await house.user("bob@example.com")
    assert (await house.caller("bob@example.com")).session_id
    assert await house.enter(issuer.token(now=house.clock.now()))
