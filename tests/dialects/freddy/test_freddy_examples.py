"""Every published request body is read, and every published answer is held by ours."""

import json
from pathlib import Path

import pytest

from freddy.server.core import errors, items, toolspec
from freddy.server.core.request import Request
from freddy.server.dialects.freddy import FREDDY

EXAMPLES = Path(__file__).parent / "examples"
BODIES = sorted([*EXAMPLES.glob("*.request*.json"), *EXAMPLES.glob("*.body.json")])
MESSAGES = sorted(EXAMPLES.glob("*.message.json"))
OTHER_DIALECT = "100-openai-responses.request.json"


def said(message: dict) -> list[items.Part]:
    """The parts that a message of the examples means, read in the plainest way."""
    parts: list[items.Part] = [items.Text(message["content"])] if "content" in message else []
    parts += [items.Text(each["text"]) for each in message.get("texts", ())]
    parts += [items.Image(each.get("url"), each.get("fileId")) for each in message.get("images", ())]
    parts += [items.Audio(each["fileId"]) for each in message.get("audio", ())]
    parts += [items.File(each["fileId"]) for each in message.get("files", ())]
    return parts


def names(request: Request) -> list[str]:
    return [kind(tool) for tool in request.tools]


def kind(tool: toolspec.ToolSpec) -> str:
    match tool:
        case toolspec.Function(name=name):
            return name
        case toolspec.Other(type=type_):
            return type_
        case toolspec.Mcp():
            return "mcp"
        case toolspec.FileSearch():
            return "file_search"


REFUSED = {OTHER_DIALECT, "031-mcp-inline-direct.request.json"}


def test_a_published_connector_is_told_that_it_is_not_there_yet(new_id):
    with pytest.raises(errors.InvalidRequest, match="not served yet") as raised:
        FREDDY.decode_request((EXAMPLES / "031-mcp-inline-direct.request.json").read_bytes(), new_id)

    assert raised.value.param == "tools[0].connector_id"


@pytest.mark.parametrize("path", [path for path in BODIES if path.name not in REFUSED], ids=lambda p: p.name)
def test_every_published_body_is_read_as_it_means(path, new_id):
    body = json.loads(path.read_bytes())

    request = FREDDY.decode_request(path.read_bytes(), new_id)

    assert [(item.role, list(item.parts)) for item in request.input] == [
        (message["role"], said(message)) for message in body["inputs"]
    ]
    assert request.model == body.get("model", "")
    assert request.organization_id == body.get("organization_id")
    assert request.assistant_id == body.get("assistant_id")
    assert list(request.rules) == body.get("rules", [])
    assert request.disable_rules is body.get("disable_rules", False)
    assert request.stream is body.get("stream", False)
    assert request.parallel_tool_calls is body.get("parallel_tool_calls", False)
    assert request.max_output_tokens == body.get("max_output_synapses")
    assert request.thread is not None
    assert request.thread.id == body.get("thread")
    reasoning = body.get("reasoning", {})
    assert (request.reasoning.effort, request.reasoning.summary) == (
        reasoning.get("effort"),
        reasoning.get("summary"),
    )
    sent = [*body.get("tools", ()), *body.get("functions", ())]
    canonical = {
        "fileSearch": "file_search",
        "webSearch": "web_search",
        "personalConnector": "personal_connector",
    }
    assert names(request) == [tool.get("name") or canonical.get(tool["type"], tool["type"]) for tool in sent]
    for spec, tool in zip(request.tools, sent, strict=True):
        if isinstance(spec, toolspec.Function):
            assert json.loads(bytes(spec.parameters)) == tool["parameters"]
            assert spec.description == tool["description"]
            assert spec.strict is True
            assert spec.require_approval is tool.get("require_approval", False)
            assert spec.hosted
        elif isinstance(spec, toolspec.Mcp):
            assert spec.server_label == tool["server_label"]
            assert (spec.server_url, spec.configuration_id) == (tool.get("server_url"), tool.get("configuration_id"))
            assert spec.description == tool.get("server_description")
            assert (spec.authorization, spec.headers) == (tool.get("authorization"), tool.get("headers", {}))
            assert spec.allowed == (toolspec.Which(tuple(tool["allowed_tools"])) if "allowed_tools" in tool else None)
            assert spec.approval == (toolspec.Approval("never") if tool.get("require_approval") == "never" else None)
        elif isinstance(spec, toolspec.FileSearch):
            assert (list(spec.vector_store_ids), spec.most) == (tool["vector_store_ids"], tool["max_num_results"])
            ranking = tool["ranking_options"]
            assert (spec.ranker, spec.least_score) == (ranking["ranker"], ranking["score_threshold"])
        else:
            hidden = {"authorization", "headers"}
            kept = {key: value for key, value in tool.items() if key not in hidden}
            assert json.loads(bytes(spec.data)) == {**kept, "type": spec.type}


@pytest.mark.parametrize("path", MESSAGES, ids=lambda p: p.name)
def test_every_published_message_is_read_as_it_means(path, new_id):
    message = json.loads(path.read_bytes())

    request = FREDDY.decode_request(json.dumps({"inputs": [message]}).encode(), new_id)

    assert request.input == (items.Message("msg_1", message["role"], tuple(said(message))),)


def test_a_body_of_the_other_dialect_is_told_which_key_it_means(new_id):
    with pytest.raises(errors.UnknownParameter) as raised:
        FREDDY.decode_request((EXAMPLES / OTHER_DIALECT).read_bytes(), new_id)

    assert raised.value.param == "input"
    assert raised.value.details == "did you mean inputs?"


@pytest.mark.parametrize(
    ("file", "field", "meant"),
    [
        (
            "seed001-mcp-allowed-tools-array.json",
            "allowed_tools",
            {"allowed": toolspec.Which(("search_documents", "list_files", "get_file_content"))},
        ),
        (
            "seed001-mcp-allowed-tools-filter.json",
            "allowed_tools",
            {
                "allowed": toolspec.Which(("search_*", "get_*")),
                "excluded": toolspec.Which(("delete_*", "update_*")),
            },
        ),
        (
            "seed001-mcp-require-approval-object.json",
            "require_approval",
            {
                "approval": toolspec.Approval(
                    always=(toolspec.Which(("delete_*", "update_*", "send_*")),),
                    never=(toolspec.Which(("search_*", "get_*", "list_*")),),
                )
            },
        ),
    ],
)
def test_the_published_filters_of_mcp_tools_are_understood(file, field, meant, new_id):  # promises 197, 198, 200
    value = json.loads((EXAMPLES / file).read_bytes())
    tool = {"type": "mcp", "server_label": "x", "configuration_id": "mcp_config_abc123", field: value}

    request = FREDDY.decode_request(json.dumps({"inputs": "Hi", "tools": [tool]}).encode(), new_id)

    (spec,) = request.tools
    assert isinstance(spec, toolspec.Mcp)
    assert {name: getattr(spec, name) for name in meant} == meant


ERRORS = {
    400: errors.InvalidInput("No valid input messages found", param="inputs"),
    401: errors.NotAuthenticated("Invalid API key provided"),
    403: errors.PermissionDenied("Organization access denied", param="organization_id"),
    404: errors.ModelNotFound("Model not found", param="model"),
    422: errors.InvalidValue("temperature", "must be between 0 and 2"),
    429: errors.RateLimited("Rate limit exceeded", retry_after=1.5),
    500: errors.Internal("Internal server error"),
    503: errors.ProviderUnavailable("AI provider temporarily unavailable"),
}


@pytest.mark.parametrize("status", ERRORS)
def test_every_published_error_is_written_exactly(status):
    got, body = FREDDY.encode_error(ERRORS[status].as_failure())

    assert got == status
    assert json.loads(body) == json.loads((EXAMPLES / f"seed001-error-{status}.json").read_bytes())


def test_the_published_mistakes_lead_to_the_published_errors(new_id):
    for status, body in ((400, {"inputs": []}), (422, {"inputs": "Hi", "temperature": 2.5})):
        with pytest.raises(errors.FreddyError) as raised:
            FREDDY.decode_request(json.dumps(body).encode(), new_id)
        told = FREDDY.encode_error(raised.value.as_failure())
        assert told[0] == status
        assert json.loads(told[1]) == json.loads((EXAMPLES / f"seed001-error-{status}.json").read_bytes())
