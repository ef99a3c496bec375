"""Requests that name uploaded files, in both dialects, as their upstream sees them."""

import base64

import pytest
from files_stage import pdf
from gateway import spelled

from promises import promise
from upstream import Upstream

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 24


async def upload(gateway, content: bytes, filename: str) -> str:
    reply = await gateway.http().post("/v1/files", files={"file": (filename, content)}, data={"purpose": "user_data"})
    assert reply.status_code == 200, reply.text
    return reply.json()["id"]


def said(dialect: str, *, image: str | None = None, file: str | None = None) -> list[dict[str, object]]:
    """A message of the user with a question and one file."""
    if dialect == "freddy":
        parts: dict[str, object] = {"texts": [{"text": "What is it?"}]}
        if image:
            parts["images"] = [{"fileId": image}]
        if file:
            parts["files"] = [{"file_id": file}]
        return [{"role": "user", **parts}]
    content: list[dict[str, object]] = [{"type": "input_text", "text": "What is it?"}]
    if image:
        content.append({"type": "input_image", "file_id": image, "detail": "auto"})
    if file:
        content.append({"type": "input_file", "file_id": file})
    return [{"role": "user", "content": content}]


def told(upstream: Upstream) -> object:
    return upstream.last.messages[-1][1]


@promise(46)
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_an_uploaded_image_reaches_the_model_as_data(gateway, dialect):
    image = await upload(gateway, PNG, "fox.png")
    answer = await gateway.ask(dialect, input=said(dialect, image=image))
    assert answer["status"] == "completed"
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    question, picture = told(gateway.upstream)
    assert question == {"type": "text", "text": "What is it?"}
    assert (picture["type"], picture["image_url"]["url"]) == ("image_url", url)


@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_an_uploaded_text_reaches_the_model_as_text(gateway, dialect):
    file = await upload(gateway, b"name,age\nReineke,7", "foxes.csv")
    await gateway.told(dialect, input=said(dialect, file=file))
    assert told(gateway.upstream) == [
        {"type": "text", "text": "What is it?"},
        {"type": "text", "text": "[File: foxes.csv]\nname,age\nReineke,7"},
    ]


@promise(49)
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_an_uploaded_document_reaches_the_model(gateway, dialect):
    file = await upload(gateway, pdf("Foxes are red."), "foxes.pdf")
    await gateway.ask(dialect, input=said(dialect, file=file))
    _, document = told(gateway.upstream)
    as_data = {
        "type": "file",
        "file": {
            "file_data": f"data:application/pdf;base64,{base64.b64encode(pdf('Foxes are red.')).decode()}",
            "filename": "foxes.pdf",
        },
    }
    assert document in (as_data, {"type": "text", "text": "[File: foxes.pdf]\nFoxes are red."})


@pytest.mark.parametrize("dialect", ["freddy", "openai"])
@pytest.mark.parametrize("more", [{}, {"stream": True}, {"background": True}])
async def test_a_file_that_nobody_has_is_told_before_anything_begins(gateway, dialect, more):
    reply = await gateway.post(*spelled(dialect, input=said(dialect, image="file_never"), **more))
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (404, "file_not_found", "file_id")
    assert gateway.upstream.calls == []


async def test_a_conversation_goes_on_with_its_image(gateway):
    image = await upload(gateway, PNG, "fox.png")
    first = await gateway.ask("openai", input=said("openai", image=image))
    await gateway.ask("openai", input="And its colour?", previous_response_id=first["id"])
    asked = gateway.upstream.last.messages
    assert asked[0][1][1]["image_url"]["url"].startswith("data:image/png;base64,")
    kept = (await gateway.get(f"/v1/responses/{first['id']}/input_items")).json()["data"]
    assert kept[0]["content"][1]["file_id"] == image


async def test_a_damaged_document_is_the_requests_fault(gateway):
    file = await upload(gateway, b"PK\3\4 and nothing more", "foxes.docx")
    reply = await gateway.post(*spelled("freddy", input=said("freddy", file=file)))
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unreadable_file")
