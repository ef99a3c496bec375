"""The use-cases of MCP configurations: what is kept, what is told to whom, and what never."""

import asyncio
import logging

import msgspec
import pytest
from mcp_configurations_stage import HEADER, KEY, SECRETS, THEIRS, TOKEN, URL, Stage
from msgspec.structs import replace

from callers import OURS, caller
from freddy.server.core import errors
from freddy.server.core.mcp_configurations import (
    REDACTED,
    USUAL_HEADER,
    Change,
    Configuration,
    Connection,
    Credentials,
    Tested,
    Tools,
)
from freddy.server.core.toolspec import Approval, Which
from freddy.server.ports.mcp import Configured, Server
from freddy.server.resources.base import Listing
from freddy.server.resources.resealing import Resealed, SealedRecords, of_mcp_configurations, reseal
from freddy.server.resources.sample_mcp_configurations import SampleMcpConfigurations
from freddy.server.sealing import AesSealer
from freddy.server.stores.sql.engine import Database
from promises import promise

BEARER = {"auth": "bearer_token", "credentials": Credentials(token=TOKEN)}
API_KEY = {"auth": "api_key", "credentials": Credentials(api_key=KEY)}


async def headers(stage: Stage, configuration_id: str) -> dict[str, str]:
    return dict((await stage.configurations.server(OURS, configuration_id)).server.headers)


async def refused(attempt) -> str | None:
    """The parameter that a refusal names."""
    with pytest.raises(errors.InvalidValue) as raised:
        await attempt
    assert not any(secret in f"{raised.value.message} {raised.value.details}" for secret in SECRETS)
    return raised.value.param


@promise(190)
async def test_a_configuration_is_opened_with_what_its_server_is_told(stage: Stage):
    tools = Tools(allowed=Which(("search",)), excluded=Which(("delete*",)), approval=Approval("never"))
    kept = await stage.made(transport="sse", tools=tools, headers={"X-Team": HEADER}, **BEARER)
    assert kept.id.startswith("mcp_config_")
    assert await stage.configurations.server(OURS, kept.id) == Configured(
        server=Server(
            organization_id=OURS,
            url=URL,
            transport="sse",
            headers={"X-Team": HEADER, "Authorization": f"Bearer {TOKEN}"},
        ),
        allowed=Which(("search",)),
        excluded=Which(("delete*",)),
        approval=Approval("never"),
    )


async def test_every_kind_of_credentials_has_its_header(stage: Stage):
    plain = await stage.made()
    assert await headers(stage, plain.id) == {}
    key = await stage.made(**API_KEY)
    assert await headers(stage, key.id) == {USUAL_HEADER: KEY}
    named = await stage.made(auth="api_key", credentials=Credentials(api_key=KEY, header_name="X-Wiki-Key"))
    assert await headers(stage, named.id) == {"X-Wiki-Key": KEY}
    oauth = await stage.made(auth="oauth", credentials=Credentials(token=TOKEN))
    assert await headers(stage, oauth.id) == {"Authorization": f"Bearer {TOKEN}"}


async def test_a_program_of_the_operator_stands_in_the_place_of_an_address(stage: Stage):
    kept = await stage.made(program="github")
    opened = await stage.configurations.server(OURS, kept.id)
    assert opened == Configured(server=Server(organization_id=OURS, program="github"))
    assert await refused(stage.made(program="rm")) == "program"
    assert await refused(stage.made(program="github", server_url=URL)) == "program"
    assert await refused(stage.made(program="github", **BEARER)) == "auth_type"
    assert await refused(stage.made(program="github", credentials=Credentials(token=TOKEN))) == "auth_type"
    assert await refused(stage.made(program="github", headers={"X-Team": HEADER})) == "headers"
    assert await refused(stage.made(program="github", transport="sse")) == "transport_type"


async def test_what_stands_nowhere_or_out_of_reach_is_not_kept(stage: Stage):
    assert await refused(stage.configurations.create(caller(), Change(name="Nowhere"))) == "server_url"
    assert await refused(stage.made(server_url="https://metadata.internal/mcp")) == "server_url"
    for url in ("", "mcp.example.com", "ftp://mcp.example.com", "https://", "https://a b", "https://u:p@mcp.example.com",
                "https://mcp.example.com/#here", "https://mcp.example.com:x/", "https://" + "a" * 2048):  # fmt: skip
        assert await refused(stage.made(server_url=url)) == "server_url"
    with pytest.raises(errors.InvalidRequest) as raised:
        await stage.configurations.create(caller(), Change(server_url=URL))
    assert (raised.value.param, raised.value.code) == ("name", "missing_required_parameter")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"credentials": Credentials(token=TOKEN)}, "auth_type"),
        ({"auth": "bearer_token"}, "credentials.token"),
        ({"auth": "bearer_token", "credentials": None}, "credentials.token"),
        ({"auth": "bearer_token", "credentials": Credentials(api_key=KEY)}, "credentials.api_key"),
        ({"auth": "api_key", "credentials": Credentials(api_key=KEY, token=TOKEN)}, "credentials.token"),
        ({"auth": "oauth", "credentials": Credentials(token=f"Bearer {TOKEN}")}, "credentials.token"),
        ({"auth": "oauth", "credentials": Credentials(token=TOKEN, header_name="X-A")}, "credentials.header_name"),
        ({"auth": "oauth", "credentials": Credentials(token=REDACTED)}, "credentials.token"),
        ({"auth": "api_key", "credentials": Credentials(api_key=f"{KEY}\n")}, "credentials.api_key"),
        ({"auth": "api_key", "credentials": Credentials(api_key=KEY, header_name="X A")}, "credentials.header_name"),
        ({"auth": "api_key", "credentials": Credentials(api_key=KEY, header_name="Host")}, "credentials.header_name"),
        ({"headers": {"X-A": REDACTED}}, "headers.X-A"),
        ({"headers": {"X-A": f"{HEADER}\r\nX-B: c"}}, "headers.X-A"),
        ({"headers": {"X-A": ""}}, "headers.X-A"),
        ({"headers": {"X-A": "a" * 4097}}, "headers.X-A"),
        ({"headers": {"X:A": HEADER}}, "headers"),
        ({"headers": {"mcp-session-id": HEADER}}, "headers"),
        ({"headers": {"X-A": HEADER, "x-a": HEADER}}, "headers"),
        ({"headers": {f"X-{number}": "a" for number in range(33)}}, "headers"),
        ({"headers": {"authorization": HEADER}, **BEARER}, "headers.authorization"),
        ({"headers": {"x-api-key": HEADER}, **API_KEY}, "headers.x-api-key"),
    ],
)  # fmt: skip
async def test_what_cannot_be_sent_is_refused_by_its_name(tmp_path, fields, param):
    async with Database(None) as database:
        assert await refused(Stage(database, tmp_path).made(**fields)) == param


async def test_secrets_are_nowhere_in_the_clear(stage: Stage, caplog):
    with caplog.at_level(logging.DEBUG):
        kept = await stage.made(headers={"X-Team": HEADER}, **API_KEY)
        kept = await stage.configurations.change(
            caller(), kept.id, Change(auth="bearer_token", credentials=Credentials(token=TOKEN))
        )
        await stage.configurations.test(caller(), kept.id)
        versions = await stage.records.versions(OURS, kept.id)
        await stage.configurations.delete(caller(), kept.id)
    assert [one.version for one in versions] == [2, 1]
    assert len(stage.changes) == 3
    told = [repr(versions), repr(stage.changes), repr(kept), caplog.text, repr([vars(one) for one in caplog.records])]
    told += [repr(stage.servers.asked), repr(Credentials(token=TOKEN)), repr(Change(headers={"X-A": HEADER}))]
    for secret in SECRETS:
        assert not any(secret in text for text in told)


async def test_sealed_secrets_open_in_their_own_configuration_only(stage: Stage):
    kept = await stage.made(**BEARER)
    other = await stage.made(**BEARER)
    stolen = kept.value.credentials
    assert stolen is not None

    def moved(record):
        return replace(record, data=msgspec.json.encode(replace(other.value, credentials=stolen)))

    assert await stage.records.change(OURS, other.id, moved)
    with pytest.raises(errors.StorageUnavailable) as raised:
        await stage.configurations.server(OURS, other.id)
    assert raised.value.code == "mcp_credentials_unreadable"


async def test_a_change_keeps_the_secrets_that_it_does_not_bring(stage: Stage):
    kept = await stage.made(headers={"X-Team": HEADER, "X-Other": "other"}, **API_KEY)
    whole = {USUAL_HEADER: KEY, "X-Team": HEADER, "X-Other": "other"}
    renamed = await stage.configurations.change(caller(), kept.id, Change(name="Wiki 2", description="Ours"))
    assert (renamed.version, renamed.name, renamed.value.credentials) == (2, "Wiki 2", kept.value.credentials)
    assert await headers(stage, kept.id) == whole
    same = Change(credentials=Credentials(api_key=REDACTED), headers={"X-Team": REDACTED, "X-Other": REDACTED})
    assert (await stage.configurations.change(caller(), kept.id, same)).version == 2
    fewer = Change(headers={"x-team": REDACTED, "X-New": "new"})
    assert (await stage.configurations.change(caller(), kept.id, fewer)).version == 3
    assert await headers(stage, kept.id) == {USUAL_HEADER: KEY, "x-team": HEADER, "X-New": "new"}
    moved = Change(credentials=Credentials(api_key=REDACTED, header_name="X-Wiki-Key"))
    await stage.configurations.change(caller(), kept.id, moved)
    assert await headers(stage, kept.id) == {"X-Wiki-Key": KEY, "x-team": HEADER, "X-New": "new"}
    bare = await stage.configurations.change(caller(), kept.id, Change(auth="none", headers={}))
    assert (await headers(stage, kept.id), bare.value.credentials) == ({}, None)


async def test_a_token_stays_when_only_its_name_changes(stage: Stage):
    kept = await stage.made(**BEARER)
    await stage.configurations.change(caller(), kept.id, Change(auth="oauth"))
    assert await headers(stage, kept.id) == {"Authorization": f"Bearer {TOKEN}"}
    assert (
        await refused(stage.configurations.change(caller(), kept.id, Change(auth="api_key"))) == "credentials.api_key"
    )


async def test_no_secret_goes_to_another_server_than_it_was_given_for(stage: Stage):
    kept = await stage.made(headers={"X-Team": HEADER}, **BEARER)
    elsewhere = "https://elsewhere.example.com/mcp"
    attempts = [
        (Change(server_url=elsewhere), "credentials"),
        (Change(server_url=f"{URL}/"), "credentials"),
        (Change(server_url=elsewhere, credentials=Credentials(token=REDACTED), headers={}), "credentials.token"),
        (Change(server_url=elsewhere, credentials=Credentials(token="new")), "headers"),
        (Change(server_url=elsewhere, auth="none"), "headers"),
        (
            Change(server_url=elsewhere, credentials=Credentials(token="new"), headers={"X-Team": REDACTED}),
            "headers.X-Team",
        ),
        (Change(program="github"), "auth_type"),
        (Change(program="github", auth="none"), "headers"),
    ]
    for change, param in attempts:
        assert await refused(stage.configurations.change(caller(), kept.id, change)) == param
    assert (await stage.configurations.server(OURS, kept.id)).server.url == URL
    anew = Change(server_url=elsewhere, credentials=Credentials(token="new"), headers={})
    await stage.configurations.change(caller(), kept.id, anew)
    opened = await stage.configurations.server(OURS, kept.id)
    assert (opened.server.url, dict(opened.server.headers)) == (elsewhere, {"Authorization": "Bearer new"})
    await stage.configurations.change(caller(), kept.id, Change(program="files", auth="none", headers={}))
    # What had been given for a server comes back for no other, and not for the first one either.
    back = Change(server_url=URL, auth="bearer_token", credentials=Credentials(token=REDACTED))
    assert await refused(stage.configurations.change(caller(), kept.id, back)) == "credentials.token"


async def test_a_configuration_without_secrets_moves_freely(stage: Stage):
    kept = await stage.made(transport="sse")
    moved = await stage.configurations.change(caller(), kept.id, Change(program="github"))
    assert (moved.value.server_url, moved.value.program, moved.value.transport) == (None, "github", "auto")
    assert await refused(stage.configurations.change(caller(), kept.id, Change(transport="sse"))) == "transport_type"
    back = await stage.configurations.change(caller(), kept.id, Change(server_url=URL, transport="sse"))
    assert back.value == Configuration(server_url=URL, transport="sse")


async def test_secrets_that_cannot_be_read_any_more_are_sent_again(stage: Stage, tmp_path):
    kept = await stage.made(headers={"X-Team": HEADER}, **BEARER)
    stage.configurations = stage.opened(sealer=AesSealer((), file=tmp_path / "another_key"))
    with pytest.raises(errors.StorageUnavailable) as raised:
        await stage.configurations.server(OURS, kept.id)
    assert raised.value.code == "mcp_credentials_unreadable"
    assert (await stage.configurations.change(caller(), kept.id, Change(name="Wiki 2"))).name == "Wiki 2"
    half = Change(credentials=Credentials(token="new"))
    assert await refused(stage.configurations.change(caller(), kept.id, half)) == "headers"
    await stage.configurations.change(caller(), kept.id, Change(credentials=Credentials(token="new"), headers={}))
    assert await headers(stage, kept.id) == {"Authorization": "Bearer new"}


async def test_another_secret_key_can_be_the_first(stage: Stage, tmp_path):
    old, new = "o" * 32, "n" * 32
    stage.configurations = stage.opened(sealer=AesSealer((old,), file=tmp_path / "none"))
    kept = await stage.made(headers={"X-Team": HEADER}, **BEARER)
    lost = await stage.made(**BEARER)
    stage.configurations = stage.opened(sealer=AesSealer(("x" * 32,), file=tmp_path / "none"))
    await stage.configurations.change(caller(), lost.id, Change(credentials=Credentials(token=TOKEN), headers={}))
    plain = await stage.made(name="Plain")
    both = AesSealer((new, old), file=tmp_path / "none")
    rows = SealedRecords(stage.records, "mcp_configuration", organization_ids=[OURS, THEIRS])
    assert await reseal(rows, of_mcp_configurations(), both) == Resealed(1, [(OURS, lost.id)])
    stage.configurations = stage.opened(sealer=AesSealer((new,), file=tmp_path / "none"))
    assert await headers(stage, kept.id) == {"Authorization": f"Bearer {TOKEN}", "X-Team": HEADER}
    assert (await stage.configurations.get(caller(), plain.id)).version == 1


async def test_what_is_not_enabled_cannot_be_named(stage: Stage):
    off = await stage.made(enabled=False)
    without_tools = await stage.made(tools=Tools(enabled=False))
    for kept, field in ((off, "`enabled`"), (without_tools, "`tool_configuration`")):
        with pytest.raises(errors.InvalidRequest) as raised:
            await stage.configurations.server(OURS, kept.id)
        assert (raised.value.param, raised.value.code) == ("tools", "mcp_configuration_disabled")
        assert field in (raised.value.details or "")
    on = await stage.configurations.change(caller(), off.id, Change(enabled=True))
    assert (await stage.configurations.server(OURS, on.id)).server.url == URL


async def test_those_of_others_are_not_there(stage: Stage):
    kept = await stage.made(**BEARER)
    other_kind = "asst_1"
    for organization, configuration_id in ((THEIRS, kept.id), (OURS, "mcp_config_nowhere"), (OURS, other_kind)):
        with pytest.raises(errors.NotFound) as raised:
            await stage.configurations.server(organization, configuration_id)
        assert (raised.value.param, raised.value.code) == ("tools", "mcp_configuration_not_found")
        assert raised.value.message == f"There is no MCP configuration {configuration_id!r}"
    theirs = caller(THEIRS)
    for attempt in (
        stage.configurations.get(theirs, kept.id),
        stage.configurations.change(theirs, kept.id, Change(name="Mine")),
        stage.configurations.test(theirs, kept.id),
        stage.configurations.delete(theirs, kept.id),
    ):
        with pytest.raises(errors.NotFound) as raised:
            await attempt
        assert (raised.value.param, raised.value.code) == ("configuration_id", "mcp_configuration_not_found")
    assert (await stage.configurations.list(theirs, Listing()))[1] == 0
    assert stage.servers.asked == []


async def test_members_change_what_they_made(stage: Stage):
    maker, other, admin = caller(user="usr_maker"), caller(user="usr_other"), caller(user="usr_admin", sees_all=True)
    kept = await stage.made(by=maker, **BEARER)
    assert (await stage.configurations.get(other, kept.id)).id == kept.id
    for attempt in (
        stage.configurations.change(other, kept.id, Change(name="Mine")),
        stage.configurations.delete(other, kept.id),
    ):
        with pytest.raises(errors.PermissionDenied) as raised:
            await attempt
        assert raised.value.param == "configuration_id"
    assert (await stage.configurations.change(admin, kept.id, Change(name="Ours"))).created_by == "usr_maker"
    assert (await stage.configurations.change(maker, kept.id, Change(name="Mine"))).version == 3
    await stage.configurations.delete(caller(), kept.id)
    with pytest.raises(errors.NotFound):
        await stage.configurations.server(OURS, kept.id)


async def test_two_changes_at_once_are_both_kept(stage: Stage):
    kept = await stage.made(**BEARER)
    await asyncio.gather(
        stage.configurations.change(caller(), kept.id, Change(description="Ours")),
        stage.configurations.change(caller(), kept.id, Change(headers={"X-Team": HEADER})),
        stage.configurations.change(caller(), kept.id, Change(metadata={"a": "b"})),
    )
    after = await stage.configurations.get(caller(), kept.id)
    assert (after.version, after.value.description, after.value.metadata) == (4, "Ours", {"a": "b"})
    assert await headers(stage, kept.id) == {"Authorization": f"Bearer {TOKEN}", "X-Team": HEADER}


async def test_another_version_than_the_expected_one_is_a_conflict(stage: Stage):
    kept = await stage.made()
    await stage.configurations.change(caller(), kept.id, Change(name="Wiki 2", expected_version=1))
    with pytest.raises(errors.Conflict) as raised:
        await stage.configurations.change(caller(), kept.id, Change(name="Wiki 3", expected_version=1))
    assert raised.value.param == "expected_version"


async def test_an_organization_has_so_many_and_no_more(stage: Stage):
    stage.configurations = stage.opened(most=2)
    await stage.made()
    await stage.made()
    with pytest.raises(errors.Conflict):
        await stage.made()


async def test_configurations_are_listed_with_search_and_pages(stage: Stage):
    names = ("Wiki", "Tickets", "Wiki of others")
    ids = [(await stage.made(name=name, enabled=name != "Tickets")).id for name in names]
    found, total = await stage.configurations.list(caller(), Listing(limit=2))
    assert ([one.id for one in found], total) == ([ids[2], ids[1]], 3)
    found, total = await stage.configurations.list(caller(), Listing(limit=2, offset=2))
    assert ([one.id for one in found], total) == ([ids[0]], 3)
    found, total = await stage.configurations.list(caller(), Listing(search="wiki MCP.example"))
    assert total == 2
    found, total = await stage.configurations.list(caller(), Listing(), enabled=False)
    assert [one.name for one in found] == ["Tickets"]


async def test_a_test_tells_the_tools_and_is_remembered(stage: Stage):
    kept = await stage.made(tools=Tools(allowed=Which(("search",))), enabled=False, **BEARER)
    assert stage.configurations.connection(kept) == Connection()
    assert await stage.configurations.test(caller(), kept.id) == Tested(("search", "delete"))
    [server] = stage.servers.asked
    assert (server.organization_id, dict(server.headers)) == (OURS, {"Authorization": f"Bearer {TOKEN}"})
    at = int(stage.clock.now())
    assert stage.configurations.connection(kept) == Connection("connected", at, tools=2)
    stage.servers.failure = errors.ToolFailed("The server wants other credentials")
    assert await stage.configurations.test(caller(), kept.id) == Tested(error="The server wants other credentials")
    assert stage.configurations.connection(kept) == Connection("error", at, "The server wants other credentials", 2)
    changed = await stage.configurations.change(caller(), kept.id, Change(name="Wiki 2"))
    assert stage.configurations.connection(changed) == Connection()


async def test_a_failed_test_says_why_and_no_secret(stage: Stage):
    kept = await stage.made(headers={"X-Team": HEADER}, **BEARER)
    stage.servers.failure = errors.ToolFailed(
        f"The server said: Bearer {TOKEN} is unknown", details=f"nor is {HEADER} of any use"
    )
    tested = await stage.configurations.test(caller(), kept.id)
    assert tested.error == f"The server said: Bearer {REDACTED} is unknown: nor is {REDACTED} of any use"
    assert stage.configurations.connection(kept).error == tested.error


async def test_a_server_that_says_nothing_is_waited_for_so_long(stage: Stage):
    stage.configurations = stage.opened(test_seconds=0.05)
    kept = await stage.made()
    stage.servers.silent = True
    tested = await stage.configurations.test(caller(), kept.id)
    assert tested.error == "The MCP server did not tell its tools within 0.05 seconds"


async def test_the_sample_of_the_documentation_is_there_for_its_organizations(stage: Stage):
    sample = "mcp_config_abc123"
    assert await stage.configurations.server(OURS, sample) == Configured(server=Server(organization_id=OURS, url=URL))
    with pytest.raises(errors.NotFound):
        await stage.configurations.server(THEIRS, sample)
    with pytest.raises(errors.NotFound):
        await stage.configurations.get(caller(), sample)
    nowhere = stage.opened(samples=SampleMcpConfigurations((OURS,)))
    with pytest.raises(errors.ToolFailed) as raised:
        await nowhere.server(OURS, sample)
    assert "leads nowhere" in raised.value.message
