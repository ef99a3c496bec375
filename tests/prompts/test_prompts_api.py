"""Prompt templates over HTTP: kept in versions, and filled by requests of both dialects."""

import asyncio

import pytest

from promises import promise

PATH = "/v1/prompts"
TEMPLATE = {
    "name": "Support",
    "description": "How to answer",
    "content": "You help with {{product}}. Be {{ tone }}.",
    "variables": {
        "tone": {"type": "string", "description": "How it sounds", "default": "kind", "enum": ["kind", "stern"]}
    },
    "tags": ["support", "en"],
    "isPublic": True,
    "metadata": {"team": "a"},
    "model": "stage-small",
}


async def made(gateway, **changes) -> dict:
    reply = await gateway.http().post(PATH, json={**TEMPLATE, **changes})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def test_a_template_is_told_as_it_is_kept(gateway):
    prompt = await made(gateway)
    assert prompt == {
        "id": prompt["id"],
        "object": "prompt",
        "organization_id": prompt["organization_id"],
        "name": "Support",
        "description": "How to answer",
        "content": TEMPLATE["content"],
        "variables": {
            "tone": {
                "type": "string",
                "required": False,
                "description": "How it sounds",
                "default": "kind",
                "enum": ["kind", "stern"],
            }
        },
        "required_variables": ["product"],
        "tags": ["support", "en"],
        "is_public": True,
        "model": "stage-small",
        "metadata": {"team": "a"},
        "version": "1",
        "created_at": prompt["created_at"],
        "updated_at": prompt["created_at"],
        "created_by": prompt["created_by"],
    }
    assert prompt["id"].startswith("prompt_")
    assert (await gateway.http().get(f"{PATH}/{prompt['id']}")).json() == prompt


async def test_a_change_makes_a_version_and_the_earlier_ones_stay(gateway):
    first = await made(gateway)
    where = f"{PATH}/{first['id']}"
    second = (await gateway.http().patch(where, json={"content": "Hi {{name}}"})).json()
    assert {key for key in first if first[key] != second[key]} <= {
        "content",
        "version",
        "required_variables",
        "updated_at",
    }
    assert (second["version"], second["required_variables"]) == ("2", ["name"])
    third = (await gateway.http().put(where, json={"name": "New", "content": "Hello"})).json()
    assert (third["version"], third["variables"], third["tags"], third["model"]) == ("3", {}, [], None)
    assert (third["is_public"], third["metadata"], third["description"]) == (False, {}, None)
    same = (await gateway.http().patch(where, json={"name": "New"})).json()
    assert same["version"] == "3"
    for version, expected in (("1", first), ("2", second), ("3", third), ("latest", third)):
        told = (await gateway.http().get(where, params={"version": version})).json()
        assert told["content"] == expected["content"]
        assert told["version"] == expected["version"]
    versions = (await gateway.http().get(f"{where}/versions")).json()
    assert [one["version"] for one in versions["data"]] == ["3", "2", "1"]
    assert versions["total_count"] == 3
    for version in ("4", "0", "x"):
        assert (await gateway.http().get(where, params={"version": version})).status_code == 404


async def test_what_the_server_told_can_be_sent_back(gateway):
    prompt = await made(gateway)
    reply = await gateway.http().put(f"{PATH}/{prompt['id']}", json=prompt)
    assert reply.status_code == 200, reply.text
    assert reply.json() == prompt


async def test_a_change_to_another_version_than_expected_is_refused(gateway):
    prompt = await made(gateway)
    where = f"{PATH}/{prompt['id']}"
    replies = await asyncio.gather(
        *(gateway.http().patch(where, json={"content": f"{n}", "expected_version": "1"}) for n in range(5))
    )
    assert sorted(reply.status_code for reply in replies) == [200, 409, 409, 409, 409]
    refused = next(reply for reply in replies if reply.status_code == 409)
    assert refused.json()["error"]["param"] == "expected_version"
    assert (await gateway.http().get(where)).json()["version"] == "2"


async def test_a_list_is_told_page_by_page_and_searched(gateway):
    for name, tags in (("Alpha", ["a"]), ("Beta", ["a", "b"]), ("Gamma", ["b"])):
        await made(gateway, name=name, tags=tags)

    async def names(**query) -> list[str]:
        reply = await gateway.http().get(PATH, params=query)
        return [one["name"] for one in reply.json()["data"]]

    assert await names() == ["Gamma", "Beta", "Alpha"]
    assert await names(order="asc") == ["Alpha", "Beta", "Gamma"]
    assert await names(tag=["a"]) == ["Beta", "Alpha"]
    assert await names(tag=["a", "b"]) == ["Beta"]
    assert await names(search="ALP") == ["Alpha"]
    page = (await gateway.http().get(PATH, params={"limit": 2})).json()
    assert (page["has_more"], page["total_count"]) == (True, 3)
    assert await names(limit=2, after=page["last_id"]) == ["Alpha"]
    assert await names(before=page["last_id"]) == ["Gamma"]
    assert (await gateway.http().get(PATH, params={"after": "prompt_none"})).status_code == 422


async def test_a_deleted_template_is_gone(gateway):
    prompt = await made(gateway)
    where = f"{PATH}/{prompt['id']}"
    deleted = await gateway.http().delete(where)
    assert deleted.json() == {"id": prompt["id"], "object": "prompt.deleted", "deleted": True}
    for reply in (
        await gateway.http().get(where),
        await gateway.http().get(f"{where}/versions"),
        await gateway.http().patch(where, json={}),
        await gateway.http().delete(where),
    ):
        assert reply.status_code == 404


async def test_a_template_of_others_is_not_there(gateway):
    prompt = await made(gateway)
    stranger = gateway.http((await gateway.mint("org_others")).secret)
    unknown = (await stranger.get(f"{PATH}/prompt_none")).json()["error"]["message"]
    for reply in (
        await stranger.get(f"{PATH}/{prompt['id']}"),
        await stranger.patch(f"{PATH}/{prompt['id']}", json={"name": "Mine"}),
        await stranger.delete(f"{PATH}/{prompt['id']}"),
    ):
        assert reply.status_code == 404
        assert reply.json()["error"]["message"] == unknown.replace("prompt_none", prompt["id"])
    assert (await stranger.get(PATH)).json()["data"] == []
    asked = {"inputs": "Hi", "model": "stage", "prompt": {"id": prompt["id"], "variables": {"product": "X"}}}
    reply = await stranger.post("/v1/model/response", json=asked)
    assert (reply.status_code, reply.json()["error"]["param"]) == (404, "prompt")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"content": ""}, "content"),
        ({"content": "x" * 100_001}, "content"),
        ({"content": "{{ 1 2 }}"}, "content"),
        ({"variables": []}, "variables"),
        ({"variables": {"a b": {}}}, "variables"),
        ({"variables": {"a": {"type": "date"}}}, "variables.a.type"),
        ({"variables": {"a": {"typ": "string"}}}, "variables.a.typ"),
        ({"variables": {"a": {"default": "{{a}}"}}}, "variables.a.default"),
        ({"variables": {"a": {"type": "number", "default": "1"}}}, "variables.a.default"),
        ({"variables": {f"v{n}": {} for n in range(101)}}, "variables"),
        ({"tags": ["x"] * 21}, "tags"),
        ({"tags": ["x" * 65]}, "tags"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"model": 4}, "model"),
        ({"contents": "x"}, "contents"),
        ({"expected_version": "x"}, "expected_version"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_name(gateway, changes, param):
    reply = await gateway.http().post(PATH, json={**TEMPLATE, **changes})
    error = reply.json()["error"]
    assert reply.status_code in (400, 422)
    assert error["param"] == param


async def test_a_circle_of_defaults_is_named(gateway):
    variables = {"a": {"default": "{{b}}"}, "b": {"default": "{{a}}"}}
    reply = await gateway.http().post(PATH, json={**TEMPLATE, "variables": variables})
    assert reply.status_code == 422
    assert "a → b → a" in reply.text


async def test_a_key_needs_the_scopes_of_prompts(gateway):
    prompt = await made(gateway)
    reader = gateway.http((await gateway.mint("org_reader", scopes=["prompts:read"])).secret)
    assert (await reader.get(PATH)).status_code == 200
    assert (await reader.post(PATH, json=TEMPLATE)).status_code == 403
    other = gateway.http((await gateway.mint("org_other", scopes=["threads:read"])).secret)
    assert (await other.get(f"{PATH}/{prompt['id']}")).status_code == 403


@promise(98)
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_a_filled_template_stands_before_the_instructions(gateway, upstream, dialect):
    prompt = await made(gateway)
    asked = {"id": prompt["id"], "variables": {"product": "Freddy {{tone}}", "tone": "stern"}}
    await gateway.ask(dialect, input="Hello", instructions="Answer in one line.", prompt=asked)
    assert upstream.last.messages == [
        ("system", "You help with Freddy {{tone}}. Be stern.\n\nAnswer in one line."),
        ("user", "Hello"),
    ]


@promise(98)
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_a_version_is_the_newest_unless_one_is_named(gateway, upstream, dialect):
    prompt = await made(gateway, content="First")
    await gateway.http().patch(f"{PATH}/{prompt['id']}", json={"content": "Second"})
    for version, told in (({}, "Second"), ({"version": "1"}, "First"), ({"version": "2"}, "Second")):
        await gateway.ask(dialect, prompt={"id": prompt["id"], **version})
        assert upstream.last.messages[0] == ("system", told)


@pytest.mark.parametrize(("dialect", "wrong"), [("freddy", 422), ("openai", 400)])
async def test_a_prompt_that_cannot_be_used_is_told_by_its_place(gateway, upstream, dialect, wrong):
    prompt = await made(gateway)

    async def refused(**asked) -> tuple[int, str]:
        path, body = (
            ("/v1/model/response", {"inputs": "Hi"}) if dialect == "freddy" else ("/v1/responses", {"input": "Hi"})
        )
        reply = await gateway.http().post(path, json={"model": "stage", **body, "prompt": asked})
        return reply.status_code, reply.json()["error"]["param"]

    assert await refused(id="prompt_none") == (404, "prompt")
    assert await refused(id=prompt["id"], version="9", variables={"product": "x"}) == (404, "prompt.version")
    assert await refused(id=prompt["id"]) == (wrong, "prompt.variables.product")
    assert await refused(id=prompt["id"], variables={"product": "x", "tone": "rude"}) == (
        wrong,
        "prompt.variables.tone",
    )
    assert await refused(id=prompt["id"], variables={"product": "x", "tone": 3}) == (wrong, "prompt.variables.tone")
    assert await refused(id=prompt["id"], variables={"prodct": "x", "product": "x"}) == (
        wrong,
        "prompt.variables.prodct",
    )


@promise(99)
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_variables_are_strings_numbers_images_and_files(gateway, upstream, dialect):
    content = "{{count}} times {{word}}: {{picture}} and {{more}}"
    prompt = await made(gateway, content=content, variables={"picture": {"type": "image"}})
    image = {"type": "input_image", "image_url": "https://example.com/a.png"}
    variables = {"count": 3, "word": "hi", "picture": image, "more": {**image, "detail": "low"}}
    await gateway.ask(dialect, input="Hello", prompt={"id": prompt["id"], "variables": variables})
    message = upstream.last.body["messages"][0]
    assert message["role"] == "user"
    assert [part["type"] for part in message["content"]] == ["text", "image_url", "text", "image_url"]
    assert message["content"][0]["text"] == "3 times hi: "
    assert message["content"][3]["image_url"]["detail"] == "low"


async def test_with_a_prompt_neither_model_nor_input_is_needed(gateway, upstream):
    prompt = await made(gateway, content="Tell a joke", variables={})
    reply = await gateway.http().post("/v1/responses", json={"prompt": {"id": prompt["id"]}})
    assert reply.status_code == 200, reply.text
    assert upstream.last.messages == [("user", "Tell a joke")]
    assert upstream.last.body["model"] == "stage-small"
    reply = await gateway.http().post("/v1/responses", json={})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "model")


async def test_the_model_of_a_request_goes_before_that_of_its_prompt(gateway, upstream):
    prompt = await made(gateway, content="Hi", variables={})
    await gateway.ask("freddy", model="stage", prompt={"id": prompt["id"]})
    assert upstream.last.body["model"] == "stage"
    await gateway.ask("freddy", prompt={"id": prompt["id"]})
    assert upstream.last.body["model"] == "stage-small"


async def test_the_python_client_has_every_method(gateway, upstream):
    client = gateway.freddy()
    prompt = await client.prompts.create("Support", "You help with {{product}}", tags=["a"], model="stage-small")
    assert (prompt.version, prompt.required_variables, prompt.tags) == ("1", ["product"], ["a"])
    await client.responses.create(inputs="Hello", prompt={"id": prompt.id, "variables": {"product": "tea"}})
    assert upstream.last.messages[0] == ("system", "You help with tea")
    changed = await client.prompts.update(prompt.id, content="Hi", expected_version="1")
    assert (changed.version, changed.content) == ("2", "Hi")
    assert (await client.prompts.get(prompt.id)).content == "Hi"
    assert (await client.prompts.get(prompt.id, version="1")).to_dict() == prompt.to_dict()
    assert [one.version async for one in await client.prompts.versions(prompt.id)] == ["2", "1"]
    await client.prompts.create("Other", "Hi")
    assert [one.name async for one in await client.prompts.list(limit=1)] == ["Other", "Support"]
    assert [one.name async for one in await client.prompts.list(tag="a", search="supp")] == ["Support"]
    assert (await client.prompts.delete(prompt.id)).deleted
    assert [one.name async for one in await client.prompts.list()] == ["Other"]
