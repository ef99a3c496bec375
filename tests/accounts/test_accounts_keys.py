"""API keys over HTTP: made, bounded by who makes them, changed at once."""

import asyncio

import pytest
from msgspec.structs import replace

from freddy.server.accounts import keys
from freddy.server.core import errors
from freddy.server.core.accounts import MAY, SCOPES, About, KeyChange
from freddy.server.world import RandomIds
from people import Desk


async def owned(site):
    """An owner, and the path of the keys."""
    person, organization = await site.register("ann@example.com")
    return person, f"/v1/organizations/{organization}/api-keys"


async def test_a_key_is_made_shown_once_and_used(site):
    ann, path = await owned(site)
    reply = await ann.ask(
        "POST",
        path,
        {
            "keyName": "my-app",
            "usage_limit_chf": 12.5,
            "limits": {"requests_per_minute": 60},
            "scopes": ["models:read"],
            "expires_at": "2100-01-31T12:00:00Z",
            "metadata": {"team": "tea"},
        },
    )
    made = reply.json()
    assert reply.status_code == 201
    assert made["key"].startswith("sk-frdy-")
    assert made["key"].startswith(made["key_prefix"])
    assert (made["usage_limit_chf"], made["limits"]["requests_per_minute"]) == (12.5, 60)
    assert (made["scopes"], made["metadata"], made["created_by"]) == (["models:read"], {"team": "tea"}, ann.id)
    assert made["expires_at"] == "2100-01-31T12:00:00Z"
    assert (await site.ask("GET", "/v1/models", key=made["key"])).status_code == 200
    assert (await site.ask("GET", "/v1/threads", key=made["key"])).status_code == 403
    shown = (await ann.ask("GET", f"{path}/{made['id']}")).json()
    assert "key" not in shown
    assert shown["last_used_at"] is not None
    listed = (await ann.ask("GET", path)).json()
    assert (listed["keys"], listed["total"], listed["page"], listed["page_size"]) == ([shown], 1, 1, 20)
    for file in site.gateway.settings.home.rglob("*"):
        assert not (file.is_file() and made["key"].encode() in file.read_bytes())


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "key_name"),
        ({"key_name": " "}, 422, "key_name"),
        ({"key_name": "a\nb"}, 422, "key_name"),
        ({"key_name": "x" * 201}, 422, "key_name"),
        ({"key_name": "a", "scopes": ["everything"]}, 422, "scopes"),
        ({"key_name": "a", "scopes": "models:read"}, 422, "scopes"),
        ({"key_name": "a", "expires_at": "tomorrow"}, 422, "expires_at"),
        ({"key_name": "a", "expires_at": 1}, 422, "expires_at"),
        ({"key_name": "a", "expires_at": True}, 422, "expires_at"),
        ({"key_name": "a", "usage_limit_chf": -1}, 422, "usage_limit_chf"),
        ({"key_name": "a", "limits": {"requests_per_minute": 0}}, 422, "limits.requests_per_minute"),
        ({"key_name": "a", "limits": {"monthly_budget": 5}, "monthly_budget": 7}, 422, "monthly_budget"),
        ({"key_name": "a", "limits": {"requests_per_hour": 1}}, 400, "limits.requests_per_hour"),
        ({"key_name": "a", "metadata": {"a": 1}}, 422, "metadata.a"),
        ({"key_name": "a", "name_of_key": "b"}, 400, "name_of_key"),
    ],
)
async def test_what_can_be_no_key_is_refused_by_name(site, body, status, param):
    ann, path = await owned(site)
    reply = await ann.ask("POST", path, body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)


async def test_nobody_hands_on_more_than_they_have(site):
    ann, path = await owned(site)
    weak = (await ann.ask("POST", path, {"key_name": "weak", "scopes": ["keys:manage", "models:read"]})).json()
    strong = (await ann.ask("POST", path, {"key_name": "strong"})).json()
    assert set(strong["scopes"]) == set(SCOPES)

    async def as_weak(method, where, body=None):
        return await site.ask(method, where, body, key=weak["key"])

    more = await as_weak("POST", path, {"key_name": "x", "scopes": ["models:read", "organizations:manage"]})
    assert (more.status_code, more.json()["error"]["param"]) == (403, "scopes")
    default = (await as_weak("POST", path, {"key_name": "x"})).json()
    assert set(default["scopes"]) == {"keys:manage", "models:read"}
    # Neither for itself, nor for another, nor by taking over the secret of a stronger one.
    for key in (weak, default):
        reply = await as_weak("PATCH", f"{path}/{key['id']}", {"scopes": ["members:manage"]})
        assert reply.status_code == 403
    assert (await as_weak("POST", f"{path}/{strong['id']}/rotate")).status_code == 403
    # What it has already may stay, and less is always allowed.
    reply = await as_weak("PATCH", f"{path}/{strong['id']}", {"scopes": ["audit:read"]})
    assert (reply.status_code, reply.json()["scopes"]) == (200, ["audit:read"])
    admin = await site.invite(ann, path.split("/")[3], "admin@example.com", "admin")
    reply = await admin.ask("POST", path, {"key_name": "x", "scopes": ["organizations:manage"]})
    assert reply.status_code == 403
    made = (await admin.ask("POST", path, {"key_name": "x"})).json()
    assert set(made["scopes"]) == MAY["admin"]


async def test_states_of_a_key_take_effect_at_once(site):
    ann, path = await owned(site)
    made = (await ann.ask("POST", path, {"key_name": "a"})).json()
    one = f"{path}/{made['id']}"

    async def status(secret=made["key"]):
        return (await site.ask("GET", "/v1/models", key=secret)).status_code

    assert await status() == 200
    for off, on, field, value in (
        ("pause", "unpause", "is_paused", True),
        ("deactivate", "activate", "is_active", False),
    ):
        reply = (await ann.ask("POST", f"{one}/{off}")).json()
        assert (reply["success"], reply["key"][field]) == (True, value)
        assert await status() == 401
        assert (await ann.ask("POST", f"{one}/{on}")).json()["key"][field] is not value
        assert await status() == 200
    rotated = (await ann.ask("POST", f"{one}/rotate")).json()
    assert rotated["old_key_id"] == rotated["new_key"]["id"] == made["id"]
    assert await status() == 401
    assert await status(rotated["new_key"]["key"]) == 200
    assert (await ann.ask("PATCH", one, {"expires_at": 1})).status_code == 422
    assert (await ann.ask("DELETE", one)).json()["success"] is True
    assert await status(rotated["new_key"]["key"]) == 401
    assert (await ann.ask("GET", one)).status_code == 404
    assert (await ann.ask("DELETE", one)).status_code == 404


async def test_a_change_changes_what_it_names_and_null_takes_away(site):
    ann, path = await owned(site)
    body = {"key_name": "a", "usage_limit_chf": 5, "limits": {"concurrent_runs": 2}, "expires_at": 4_000_000_000}
    made = (await ann.ask("POST", path, body)).json()
    one = f"{path}/{made['id']}"
    renamed = (await ann.ask("PATCH", one, {"name": "b"})).json()
    assert renamed == {name: value for name, value in made.items() if name != "key"} | {"key_name": "b"}
    cheaper = (await ann.ask("PATCH", one, {"monthly_budget": 1})).json()
    assert (cheaper["usage_limit_chf"], cheaper["limits"]["concurrent_runs"]) == (1, 2)
    free = (await ann.ask("PATCH", one, {"usage_limit_chf": None, "expires_at": None})).json()
    assert (free["usage_limit_chf"], free["expires_at"], free["limits"]["concurrent_runs"]) == (None, None, 2)
    assert (await ann.ask("PATCH", one, {"limits": None})).json()["limits"] is None


async def test_lists_come_in_pages_with_the_newest_first(site):
    ann, path = await owned(site)
    ids = [(await ann.ask("POST", path, {"key_name": str(number)})).json()["id"] for number in range(5)]
    first = (await ann.ask("GET", f"{path}?page=1&page_size=2")).json()
    last = (await ann.ask("GET", f"{path}?skip=4&take=2")).json()
    assert [key["id"] for key in first["keys"]] == [ids[4], ids[3]]
    assert ([key["id"] for key in last["keys"]], last["total"], last["page"]) == ([ids[0]], 5, 3)
    for wrong in ("page=0", "page_size=101", "take=x", "skip=-1"):
        assert (await ann.ask("GET", f"{path}?{wrong}")).status_code == 422


async def test_keys_of_another_organization_are_as_if_they_were_not_there(site):
    ann, path = await owned(site)
    bob, _ = await site.register("bob@example.com")
    made = (await ann.ask("POST", path, {"key_name": "a"})).json()
    _, other = await site.register("eve@example.com")
    theirs = path.replace(path.split("/")[3], other)
    for method, where in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/pause")):
        body = {} if method == "PATCH" else None
        assert (await bob.ask(method, f"{path}/{made['id']}{where}", body)).status_code == 403
        eve = await site.login("eve@example.com")
        foreign = await eve.ask(method, f"{theirs}/{made['id']}{where}", body)
        missing = await eve.ask(method, f"{theirs}/key_none{where}", body)
        assert foreign.status_code == missing.status_code == 404
        assert foreign.text == missing.text.replace("key_none", made["id"])
    assert (await site.ask("GET", "/v1/models", key=made["key"])).status_code == 200


async def test_members_and_viewers_manage_no_keys(site):
    ann, path = await owned(site)
    for role in ("member", "viewer"):
        person = await site.invite(ann, path.split("/")[3], f"{role}@example.com", role)
        assert (await person.ask("GET", path)).status_code == 403
        assert (await person.ask("POST", path, {"key_name": "x"})).status_code == 403


async def test_a_key_uses_are_kept_at_most_once_a_minute(desk: Desk):
    await desk.user("ann@example.com", role="owner")
    caller = await desk.caller("ann@example.com")
    minted = await desk.office.api_keys.create(caller, "a")
    written = []

    class Noting(type(desk.store)):
        async def touch_keys(self, used):
            written.append(dict(used))
            await super().touch_keys(used)

    verifier = keys.Verifier(Noting(desk.store._database), clock=desk.clock)
    for _ in range(100):
        await verifier.verify(minted.secret)
    await verifier.write_used()
    await verifier.write_used()
    began = int(desk.clock.now())
    assert written == [{minted.key.id: began}]
    desk.clock.advance(59)
    await verifier.verify(minted.secret)
    await verifier.write_used()
    desk.clock.advance(1)
    await verifier.verify(minted.secret)
    await verifier.write_used()
    assert written == [{minted.key.id: began}, {minted.key.id: began + 60}]
    kept = await desk.office.api_keys.get(caller, minted.key.id)
    assert kept.last_used_at == began + 60


async def test_among_ten_thousand_keys_one_is_found_by_one_look(desk: Desk):
    await desk.user("ann@example.com", role="owner")
    caller = await desk.caller("ann@example.com")
    minted = await desk.office.api_keys.create(caller, "first")
    ids = RandomIds()

    async def some(start):
        for _ in range(start, start + 1000):
            await desk.store.add_key(keys.mint("more", ["org_a"], clock=desk.clock, ids_from=ids).key)

    await asyncio.gather(*(some(start) for start in range(0, 10_000, 1000)))
    assert (await desk.office.verifier.verify(minted.secret)).key_id == minted.key.id
    found, total = await desk.office.api_keys.page(caller, skip=0, take=20)
    assert (len(found), total) == (20, 10_001)


async def test_what_changed_here_is_not_remembered_as_it_was(desk: Desk):
    """A look-up under way while a key is paused does not bring the key back."""
    await desk.user("ann@example.com", role="owner")
    caller = await desk.caller("ann@example.com")
    minted = await desk.office.api_keys.create(caller, "a")
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow(type(desk.store)):
        async def find_key(self, digest):
            found = await super().find_key(digest)
            begun.set()
            await go_on.wait()
            return found

    verifier = keys.Verifier(Slow(desk.store._database), clock=desk.clock)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(verifier.verify(minted.secret))
        await begun.wait()
        await desk.store.update_key(replace(minted.key, paused_at=1))
        verifier.forget()
        go_on.set()
    with pytest.raises(errors.NotAuthenticated):
        await verifier.verify(minted.secret)


async def test_keys_of_a_deleted_organization_are_refused_until_it_is_restored(desk: Desk):
    await desk.user("ann@example.com", role="owner")
    caller = await desk.caller("ann@example.com")
    minted = await desk.office.api_keys.create(caller, "a")
    assert await desk.enter(minted.secret)
    await desk.office.organizations.delete(caller, "org_a")
    with pytest.raises(errors.NotAuthenticated):
        await desk.enter(minted.secret)
    assert (await desk.caller("ann@example.com")).organization_ids == ()
    await desk.office.organizations.restore(None, "org_a")
    assert (await desk.enter(minted.secret)).key_id == minted.key.id


async def test_nobody_takes_over_a_key_that_reaches_where_they_do_not(desk: Desk):
    await desk.user("ann@example.com", role="owner")
    ann = await desk.caller("ann@example.com")
    wide = await desk.office.api_keys.create(ann, "wide", scopes=("keys:manage", "organizations:manage"))
    await desk.office.organizations.create(await desk.enter(wide.secret), "Another", about=About())
    with pytest.raises(errors.PermissionDenied) as refused:
        await desk.office.api_keys.rotate(ann, wide.key.id)
    assert refused.value.param == "key_id"
    with pytest.raises(errors.PermissionDenied):
        await desk.office.api_keys.change(ann, wide.key.id, KeyChange(scopes=SCOPES))
    # What takes nothing over is allowed, and to itself the key may do all of it.
    assert (await desk.office.api_keys.change(ann, wide.key.id, KeyChange(name="b"))).name == "b"
    rotated = await desk.office.api_keys.rotate(await desk.enter(wide.secret), wide.key.id)
    assert len((await desk.enter(rotated.secret)).organization_ids) == 2
    assert (await desk.office.api_keys.delete(ann, wide.key.id)).id == wide.key.id
