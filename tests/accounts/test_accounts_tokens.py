"""Access tokens: only those that this server made, for who may still come in."""

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.datastructures import Headers

from freddy.server.accounts.passwords import USUAL
from freddy.server.core import errors
from people import PASSWORD, Desk
from promises import promise


def forged(token: str, key: bytes | str, algorithm: str, *, head: dict | None = None, **claims) -> str:
    """The token's claims with changes, signed otherwise."""
    known = jwt.decode(token, options={"verify_signature": False})
    kept = {name: value for name, value in jwt.get_unverified_header(token).items() if name != "alg"}
    changed = {name: value for name, value in {**known, **claims}.items() if value is not None}
    return jwt.encode(changed, key, algorithm, headers={**kept, **(head or {})})


async def refused(desk: Desk, token: str, code: str = "invalid_token") -> None:
    with pytest.raises(errors.NotAuthenticated) as error:
        await desk.enter(token)
    assert error.value.code == code
    assert token not in str(error.value)


async def signing_key(desk: Desk) -> bytes:
    return (await desk.signing.derived("access tokens"))[0]


@promise(17)
async def test_a_token_leads_to_its_user(desk):
    user = await desk.user("ann@example.com", role="member")
    signed_in = await desk.login("ann@example.com")
    caller = await desk.enter(signed_in.access_token)
    assert (caller.user_id, caller.key_id, caller.session_id) == (user.id, None, signed_in.session_id)
    assert (caller.organization_id, caller.implied, caller.sees_only) == ("org_a", True, user.id)
    assert "responses:write" in caller.scopes
    assert "keys:manage" not in caller.scopes
    claims = jwt.decode(signed_in.access_token, options={"verify_signature": False})
    assert claims.keys() == {"iss", "sub", "sid", "iat", "exp", "jti"}
    assert claims["exp"] - claims["iat"] == signed_in.seconds == 900


async def test_a_token_without_a_signature_is_refused(desk):
    await desk.user("ann@example.com")
    token = (await desk.login("ann@example.com")).access_token
    head, body, signature = token.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "at+jwt"}).encode()).rstrip(b"=").decode()
    for attempt in (f"{none}.{body}.", f"{none}.{body}.{signature}", f"{head}.{body}.", f"{head}.{body}.x"):
        await refused(desk, attempt)
    for broken in ("eyJ..", "eyJh.eyJh.eyJh", f"eyJ{'x' * 5000}.a.b", "eyJ\x00.a.b", f"{none}..{signature}"):
        await refused(desk, broken)


async def test_a_token_that_another_key_signed_is_refused(desk):
    await desk.user("ann@example.com")
    token = (await desk.login("ann@example.com")).access_token
    key = await signing_key(desk)
    assert await desk.enter(forged(token, key, "HS256"))
    await refused(desk, forged(token, b"x" * 32, "HS256"))
    await refused(desk, forged(token, key, "HS384" if len(key) >= 48 else "HS256", head={"typ": "JWT"}))
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    await refused(desk, forged(token, private, "RS256"))
    for kid in (None, "", "../../etc/passwd", "' OR 1=1 --", "x" * 5000):
        await refused(desk, forged(token, key, "HS256", head={"kid": kid} if kid is not None else {"kid": "none"}))
    # Keys for one purpose are none for another.
    other = (await desk.signing.derived("refresh tokens"))[0]
    await refused(desk, forged(token, other, "HS256"))


async def test_claims_that_are_wrong_or_missing_are_refused(desk):
    await desk.user("ann@example.com")
    signed_in = await desk.login("ann@example.com")
    token, key, now = signed_in.access_token, await signing_key(desk), int(desk.clock.now())
    for wrong in (
        {"iss": "somebody"},
        {"iss": None},
        {"sub": None},
        {"sub": 7},
        {"sub": "usr_nobody"},
        {"sid": None},
        {"sid": "sess_none"},
        {"sid": ["sess"]},
        {"exp": None},
        {"exp": "never"},
        {"exp": 1e400},
        {"jti": None},
        {"iat": now + 3600},
        {"iat": True},
    ):
        await refused(desk, forged(token, key, "HS256", **wrong))


async def test_an_expired_token_says_so_and_a_refreshed_one_holds(desk):
    await desk.user("ann@example.com")
    signed_in = await desk.login("ann@example.com")
    desk.clock.advance(899)
    assert await desk.enter(signed_in.access_token)
    desk.clock.advance(1)
    await refused(desk, signed_in.access_token, "token_expired")
    again = await desk.office.sign_in.refresh(signed_in.refresh_token)
    assert (await desk.enter(again.access_token)).session_id == signed_in.session_id


async def test_a_refresh_token_holds_once_and_a_used_one_ends_the_session(desk):
    await desk.user("ann@example.com")
    first = await desk.login("ann@example.com")
    second = await desk.office.sign_in.refresh(first.refresh_token)
    third = await desk.office.sign_in.refresh(second.refresh_token)
    assert await desk.enter(third.access_token)
    for old in (first.refresh_token, second.refresh_token, third.refresh_token):
        with pytest.raises(errors.NotAuthenticated):
            await desk.office.sign_in.refresh(old)
    await refused(desk, third.access_token)
    other = await desk.login("ann@example.com")
    assert await desk.enter(other.access_token)


async def test_a_refresh_token_that_nobody_made_ends_nothing(desk):
    await desk.user("ann@example.com")
    signed_in = await desk.login("ann@example.com")
    token = signed_in.refresh_token
    wrong = ("", "rt-frdy-", f"rt-frdy-{signed_in.session_id}.x.y", token[:-1], token + "0", "rt-frdy-é.a.b", "x")
    for attempt in wrong:
        with pytest.raises(errors.NotAuthenticated):
            await desk.office.sign_in.refresh(attempt)
        if attempt:
            with pytest.raises(errors.NotAuthenticated):
                await desk.office.sign_in.logout_by(attempt)
    assert await desk.office.sign_in.refresh(token)


async def test_a_session_ends_when_it_was_not_refreshed_for_long(desk):
    await desk.user("ann@example.com")
    signed_in = await desk.login("ann@example.com")
    desk.clock.advance(30 * 24 * 3600)
    with pytest.raises(errors.NotAuthenticated):
        await desk.office.sign_in.refresh(signed_in.refresh_token)


async def test_signing_out_ends_the_session_at_once_here_and_within_seconds_elsewhere(desk, database, tmp_path):
    await desk.user("ann@example.com")
    elsewhere = Desk(database, tmp_path, clock=desk.clock)
    signed_in = await desk.login("ann@example.com")
    assert await elsewhere.enter(signed_in.access_token)
    await desk.office.sign_in.logout(signed_in.session_id)
    await refused(desk, signed_in.access_token)
    desk.clock.advance(5)
    await refused(elsewhere, signed_in.access_token)


async def test_a_deactivated_user_is_out_at_once_and_comes_in_nowhere(desk, database, tmp_path):
    user = await desk.user("ann@example.com")
    elsewhere = Desk(database, tmp_path, clock=desk.clock)
    signed_in = await desk.login("ann@example.com")
    assert await elsewhere.enter(signed_in.access_token)
    await desk.office.users.deactivate(None, user.id)
    await refused(desk, signed_in.access_token)
    with pytest.raises(errors.NotAuthenticated):
        await desk.login("ann@example.com")
    with pytest.raises(errors.NotAuthenticated):
        await desk.office.sign_in.refresh(signed_in.refresh_token)
    desk.clock.advance(5)
    await refused(elsewhere, signed_in.access_token)
    await desk.office.users.activate(None, user.id)
    # The old session ended for good.
    await refused(desk, signed_in.access_token)
    assert await desk.enter((await desk.login("ann@example.com")).access_token)


async def test_a_removed_member_reaches_the_organization_no_more(desk):
    await desk.user("boss@example.com", role="owner")
    user = await desk.user("ann@example.com")
    signed_in = await desk.login("ann@example.com")
    assert (await desk.enter(signed_in.access_token)).organization_ids == ("org_a",)
    await desk.office.users.remove_member(None, "org_a", user.id)
    assert (await desk.enter(signed_in.access_token)).organization_ids == ()


async def test_another_role_holds_for_tokens_that_are_out(desk):
    user = await desk.user("ann@example.com", role="admin")
    token = (await desk.login("ann@example.com")).access_token
    assert "keys:manage" in (await desk.enter(token)).scopes
    await desk.office.users.set_role(None, "org_a", user.id, "viewer")
    caller = await desk.enter(token)
    assert "keys:manage" not in caller.scopes
    assert "responses:write" not in caller.scopes
    assert caller.sees_only == user.id


@promise(17)
async def test_what_a_credential_is_is_read_from_it(desk):
    await desk.user("ann@example.com")
    token = (await desk.login("ann@example.com")).access_token
    with pytest.raises(errors.NotAuthenticated, match="token was sent as an API key"):
        await desk.auth.caller(Headers({"x-api-key": token}))
    with pytest.raises(errors.NotAuthenticated, match="Two different"):
        await desk.auth.caller(Headers({"authorization": f"Bearer {token}", "x-api-key": "sk-frdy-x"}))
    assert await desk.auth.caller(Headers({"authorization": f"Bearer {token}", "x-api-key": ""}))
    with pytest.raises(errors.NotAuthenticated, match="Invalid API key"):
        await desk.auth.caller(Headers({"authorization": "Bearer sk-frdy-unknown"}))


async def test_the_servers_next_secret_key_verifies_what_the_last_one_signed(desk, database, tmp_path):
    await desk.user("ann@example.com")
    token = (await desk.login("ann@example.com")).access_token
    later = Desk(database, tmp_path, clock=desk.clock)
    later.signing._keys = ("another-secret-key-of-thirty-two-characters",)
    assert await later.enter(token)
    fresh = (await later.login("ann@example.com")).access_token
    assert await later.enter(fresh)
    await refused(desk, fresh)


async def test_a_password_changed_ends_every_other_session(desk):
    await desk.user("ann@example.com")
    one, other = await desk.login("ann@example.com"), await desk.login("ann@example.com")
    caller = await desk.enter(one.access_token)
    sign_in = desk.office.sign_in
    with pytest.raises(errors.NotAuthenticated):
        await sign_in.change_password(caller, "wrong password", "another password", address="a")
    with pytest.raises(errors.InvalidValue):
        await sign_in.change_password(caller, PASSWORD, "short", address="a")
    await sign_in.change_password(caller, PASSWORD, "another password", address="a")
    assert await desk.enter(one.access_token)
    await refused(desk, other.access_token)
    with pytest.raises(errors.NotAuthenticated):
        await desk.login("ann@example.com")
    assert await desk.login("ann@example.com", "another password")


async def test_a_one_time_secret_sets_a_password_once_and_not_for_ever(desk):
    user = await desk.user("ann@example.com")
    old = await desk.login("ann@example.com")
    reset = await desk.office.users.reset_password(None, user.id)
    assert await desk.login("ann@example.com")
    for wrong in (reset.secret + "x", reset.secret.replace(user.id, "usr_other"), "", f"reset-frdy-{user.id}."):
        with pytest.raises(errors.NotAuthenticated):
            await desk.office.sign_in.set_password(wrong, "another password")
    await desk.office.sign_in.set_password(reset.secret, "another password")
    await refused(desk, old.access_token)
    with pytest.raises(errors.NotAuthenticated):
        await desk.office.sign_in.set_password(reset.secret, "a third password")
    late = await desk.office.users.reset_password(None, user.id)
    desk.clock.advance(24 * 3600)
    with pytest.raises(errors.NotAuthenticated):
        await desk.office.sign_in.set_password(late.secret, "a third password")
    assert await desk.login("ann@example.com", "another password")


async def test_wrong_passwords_are_slowed_down_by_account_and_address(desk):
    await desk.user("ann@example.com")
    for _ in range(5):
        with pytest.raises(errors.NotAuthenticated) as unknown:
            await desk.login("nobody@example.com")
        with pytest.raises(errors.NotAuthenticated) as wrong:
            await desk.login("ann@example.com", "wrong password")
        assert str(unknown.value) == str(wrong.value)
    for email in ("ann@example.com", "nobody@example.com"):
        with pytest.raises(errors.RateLimited) as slow:
            await desk.login(email)
        assert slow.value.code == "too_many_attempts"
        assert slow.value.retry_after == 30
    # Elsewhere the owner of the account still comes in.
    assert await desk.login("ann@example.com", address="198.51.100.7")
    desk.clock.advance(30)
    assert await desk.login("ann@example.com")
    with pytest.raises(errors.NotAuthenticated):
        await desk.login("ann@example.com", "wrong password")


async def test_the_password_is_kept_as_a_hash_with_its_cost(database, tmp_path):
    desk = Desk(database, tmp_path, cost=USUAL)
    user = await desk.user("ann@example.com")
    assert user.password is not None
    assert user.password.startswith("scrypt$15$8$3$")
    assert PASSWORD not in user.password
    again = await desk.user("bob@example.com")
    assert again.password != user.password


async def test_a_password_of_another_cost_is_hashed_anew_at_sign_in(desk, database, tmp_path):
    await desk.user("ann@example.com")
    await Desk(database, tmp_path, clock=desk.clock, cost=USUAL).login("ann@example.com")
    kept = await desk.people.find("ann@example.com")
    assert kept is not None
    assert kept.password is not None
    assert kept.password.startswith("scrypt$15$8$3$")


async def test_the_same_letters_typed_otherwise_are_the_same_password(desk):
    await desk.user("ann@example.com", password="pässwörter-12")
    assert await desk.login("ann@example.com", "pa\u0308sswo\u0308rter-12")
