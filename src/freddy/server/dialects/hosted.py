"""Owns what all dialects hold of tools that this server runs: what may be said of them, and what is told of calls."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias, assert_never

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from freddy.server.core import approvals, errors, items, toolspec
from freddy.server.core.mcp_configurations import check_headers, check_url
from freddy.server.core.vector_stores import Ranker

CONNECTORS: Final = (
    "connector_dropbox",
    "connector_gmail",
    "connector_googlecalendar",
    "connector_googledrive",
    "connector_microsoftteams",
    "connector_outlookcalendar",
    "connector_outlookemail",
    "connector_sharepoint",
)
"""https://platform.openai.com/docs/guides/tools-connectors-mcp#connectors"""
RANKERS: Final[dict[str, Ranker | None]] = {
    "auto": None,
    "default": None,
    "none": "semantic",
    "semantic": "semantic",
    "lexical": "lexical",
    "keyword": "lexical",
    "hybrid": "hybrid",
}
"""None leaves it to the server. OpenAI's own are dated: `default-2024-11-15`."""
FUNCTIONS: Final = "functions"
"""Stands where OpenAI has the label of an MCP server, in a request for approval of a function."""
MOST_RESULTS: Final = 50
MOST_SERVERS: Final = 32
"""MCP servers of a request: all are asked for their tools before a model is."""
MOST_SEARCHES: Final = 32
"""File searches of a request; they become one."""
MOST_STORES: Final = 100
"""Vector stores of a file search."""
MOST_NAMES: Final = 128
LONGEST_NAME: Final = 256
"""Names or patterns in a list of an MCP server's tools, and characters of each."""
MOST_PATTERNS: Final = 32
MOST_WILDCARDS: Final = 8
"""Patterns in such a list, and wildcards in each: all of them are tried with every tool that there is."""
_LONGEST_ID: Final = 128
SECRETS: Final = ("authorization", "headers")
"""What an MCP tool tells its server in confidence: no answer repeats it."""

Stage: TypeAlias = Literal["in_progress", "searching", "completed", "failed"]

_LABEL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}", re.ASCII)
_LONGEST_AUTHORIZATION: Final = 4096
_AUTHORIZATION: Final = re.compile(rf"[\x21-\x7e](?:[\x20-\x7e]{{0,{_LONGEST_AUTHORIZATION - 2}}}[\x21-\x7e])?")
_BASE64: Final = ";base64,"
_LOST: Final = "What was found is not known any more: search again where it is needed."
_FAILED: Final = "It failed."


class Hints(Struct):
    """https://modelcontextprotocol.io/specification/2025-11-25/schema#toolannotations

    Of any type: nobody here has made them.
    """

    read_only: object = msgspec.field(name="readOnlyHint", default=None)
    destructive: object = msgspec.field(name="destructiveHint", default=None)
    idempotent: object = msgspec.field(name="idempotentHint", default=None)


def check_label(label: str, at: str, taken: Collection[str]) -> None:
    """Raises `errors.InvalidValue`, as all of these do."""
    if not _LABEL.fullmatch(label):
        raise errors.InvalidValue(at, "must be 1 to 64 letters, digits, _ or -, and begin with a letter")
    if label == FUNCTIONS:
        raise errors.InvalidValue(at, f"must be another word: {FUNCTIONS} is what requests for approval call functions")
    if label in taken:
        raise errors.InvalidValue(at, f"must differ from that of every other MCP server: {label} is there twice")
    if len(taken) >= MOST_SERVERS:
        raise errors.InvalidValue(at, f"is one MCP server too many: a request may have {MOST_SERVERS}")


def check_connection(
    at: str, *, server_url: str | None, connector_id: str | None, configuration_id: str | None
) -> None:
    """Whether it is said where the server is, in exactly one way; `errors.InvalidRequest` where that is a connector."""
    if sum(way is not None for way in (server_url, connector_id, configuration_id)) != 1:
        raise errors.InvalidValue(at, "must have exactly one of server_url, connector_id and configuration_id")
    if server_url is not None:
        check_url(server_url, f"{at}.server_url")
    if connector_id is None:
        return
    if connector_id not in CONNECTORS:
        raise errors.InvalidValue(f"{at}.connector_id", f"must be one of {', '.join(CONNECTORS)}")
    raise errors.InvalidRequest(
        "Connectors are not served yet",
        param=f"{at}.connector_id",
        code="connector_unavailable",
        details="name the MCP server itself with server_url, or save it as a configuration",
    )


def check_secrets(at: str, authorization: str | None, headers: dict[str, str]) -> None:
    if authorization is not None and not _AUTHORIZATION.fullmatch(authorization):
        raise errors.InvalidValue(
            f"{at}.authorization",
            f"must be 1 to {_LONGEST_AUTHORIZATION} ASCII characters in one line, with no space at an end",
        )
    if headers:
        check_headers(headers, f"{at}.headers")


def ranker(name: str, at: str) -> Ranker | None:
    if name in RANKERS:
        return RANKERS[name]
    if name.startswith(("default-", "default_")):
        return None
    raise errors.InvalidValue(at, f"must be one of {', '.join(RANKERS)}")


def check_stores(store_ids: Sequence[str], at: str) -> tuple[str, ...]:
    """The same, each once."""
    if not store_ids or not all(store_ids):
        raise errors.InvalidValue(at, "must name at least one vector store")
    if any(len(each) > _LONGEST_ID or "\0" in each for each in store_ids):
        raise errors.InvalidValue(at, "must hold the ids of vector stores")
    each = tuple(dict.fromkeys(store_ids))
    if len(each) > MOST_STORES:
        raise errors.InvalidValue(at, f"must name at most {MOST_STORES} vector stores")
    return each


def check_searches(tools: Iterable[toolspec.ToolSpec], at: str) -> None:
    searches = [tool for tool in tools if isinstance(tool, toolspec.FileSearch)]
    if len(searches) > MOST_SEARCHES:
        raise errors.InvalidValue(at, f"must hold at most {MOST_SEARCHES} file searches")
    if len({store_id for search in searches for store_id in search.vector_store_ids}) > MOST_STORES:
        raise errors.InvalidValue(at, f"must name at most {MOST_STORES} vector stores, all file searches together")


def check_names(names: Collection[str], at: str) -> tuple[str, ...]:
    """Names of tools, or patterns; the same, each once."""
    if len(names) > MOST_NAMES or not all(0 < len(each) <= LONGEST_NAME for each in names):
        raise errors.InvalidValue(at, f"must be at most {MOST_NAMES} names, each of 1 to {LONGEST_NAME} characters")
    patterns = [each for each in names if "*" in each]
    if len(patterns) > MOST_PATTERNS or any(each.count("*") > MOST_WILDCARDS for each in patterns):
        raise errors.InvalidValue(
            at, f"must hold at most {MOST_PATTERNS} patterns, each with at most {MOST_WILDCARDS} wildcards (*)"
        )
    return tuple(dict.fromkeys(names))


def check_weights(semantic: float | None, lexical: float | None, at: str) -> tuple[float, float]:
    weights = (1.0 if semantic is None else semantic, 1.0 if lexical is None else lexical)
    if not all(0 <= weight <= 1_000_000 for weight in weights) or not any(weights):
        raise errors.InvalidValue(at, "must have weights from 0 to 1000000, not both 0")
    return weights


def output(parts: Iterable[items.Part]) -> str:
    """What a tool gave back as one text: of what is no text only a word, never its bytes."""
    return "\n".join(_note(part) for part in parts)


def outcome(call: items.HostedCall) -> str | None:
    """The output of a call, None where it has none."""
    if call.status == "completed":
        return output(call.parts)
    return output(call.parts) or None


def summary(found: Sequence[items.Found]) -> str:
    """How much was found, and where, in a sentence."""
    if not found:
        return "Nothing was found"
    files = list(dict.fromkeys(one.filename or one.file_id for one in found))
    named = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
    return f"{len(found)} {'passage' if len(found) == 1 else 'passages'} of {named}"


def mcp_call(
    item_id: str,
    *,
    server_label: str,
    name: str,
    arguments: str | None,
    output: str | None,
    error: str | None,
    status: str | None,
    turn: int,
    call_id: str | None = None,
    approval_id: str | None = None,
) -> items.HostedCall:
    """A call as a caller hands it back. What has neither output nor error was never answered."""
    ended: Literal["completed", "failed", "incomplete"] = "completed"
    if error is not None:
        ended = "failed"
    elif output is None or status == "incomplete":
        ended = "failed" if status == "failed" else "incomplete"
    return items.HostedCall(
        id=item_id,
        call_id=call_id or item_id,
        name=name,
        arguments=arguments or "{}",
        work=items.Mcp(server_label),
        parts=(items.Text(output),) if output else (),
        error=error or (_FAILED if ended == "failed" else None),
        status=ended,
        turn=turn,
        approval_id=approval_id,
    )


def file_search(
    item_id: str,
    *,
    queries: Sequence[str],
    found: Sequence[items.Found],
    error: str | None,
    status: str | None,
    turn: int,
    call_id: str | None = None,
) -> items.HostedCall:
    """A search as a caller hands it back, often without what it found."""
    ended: Literal["completed", "failed", "incomplete"] = "completed"
    if error is not None or status == "failed":
        ended = "failed"
    elif status in ("in_progress", "searching", "incomplete"):
        ended = "incomplete"
    passages = tuple(items.Text(f"[{one.filename or one.file_id}]\n{one.text}") for one in found)
    return items.HostedCall(
        id=item_id,
        call_id=call_id or item_id,
        name="file_search",
        arguments=msgspec.json.encode({"queries": list(queries)}).decode(),
        work=items.FileSearch(tuple(queries), tuple(found)),
        parts=passages or ((items.Text(_LOST),) if ended == "completed" else ()),
        error=error or (_FAILED if ended == "failed" else None),
        status=ended,
        turn=turn,
    )


def mcp_tool(
    name: str, description: str | None, *, input_schema: Raw | None, annotations: Raw | None, hints: Hints
) -> items.McpTool:
    """A tool of a list that a caller hands back: what its server said of it, read as when it said so."""
    return items.McpTool(
        name=name,
        description=description,
        input_schema=input_schema,
        annotations=annotations,
        read_only=hints.read_only is True,
        once=hints.destructive is True and hints.idempotent is not True and hints.read_only is not True,
    )


def error_text(written: Mapping[str, object]) -> str:
    """The words of an error, where OpenAI has one of three objects."""
    message, content = written.get("message"), written.get("content")
    if isinstance(message, str):
        return message
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def joined(said: tuple[items.Item, ...]) -> tuple[items.Item, ...]:
    """With the ids of the calls that requests for approval are about, where those who hand them back do not say.

    A call of a function is an item of its own: the first of the same name and arguments that no other request is about.
    """
    asked = {item.call_id for item in said if isinstance(item, items.ApprovalRequest)}
    if "" not in asked:
        return said
    told: list[items.Item] = []
    for item in said:
        if isinstance(item, items.ApprovalRequest) and not item.call_id:
            call_id = next(_calls_like(item, said, asked), item.id)
            asked.add(call_id)
            item = replace(item, call_id=call_id)
        told.append(item)
    return tuple(told)


def _calls_like(asked: items.ApprovalRequest, said: Iterable[items.Item], taken: Collection[str]) -> Iterator[str]:
    if asked.server_label is not None:
        return
    wanted = approvals.plain(asked.arguments)
    for item in said:
        if (
            isinstance(item, items.FunctionCall)
            and item.name == asked.name
            and item.call_id not in taken
            and approvals.plain(item.arguments) == wanted
        ):
            yield item.call_id


def _note(part: items.Part) -> str:
    match part:
        case items.Text(text):
            return text
        case items.Refusal(refusal):
            return refusal
        case items.Image(url=url, file_id=file_id):
            return _media("image", url, file_id)
        case items.Audio(file_id=file_id, data=data, format=form):
            kind = f"audio/{form}" if form else "audio"
            return _media(kind, None, file_id) if data is None else f"[{kind}, {_bytes(data)}]"
        case items.File(file_id=file_id, url=url, data=data, filename=filename):
            return _media(filename or "file", data or url, file_id)
        case _:
            assert_never(part)


def _media(kind: str, url: str | None, file_id: str | None) -> str:
    if url is None or not url.startswith("data:"):
        return f"[{kind}, {url or file_id}]"
    head, marked, encoded = url.removeprefix("data:").partition(_BASE64)
    if not marked:
        head, _, encoded = head.partition(",")
    media_type = head.partition(";")[0] or "text/plain"
    told = media_type if kind == "image" else f"{kind}, {media_type}"
    return f"[{told}, {_bytes(encoded) if marked else f'{len(encoded):,} bytes'}]"


def _bytes(encoded: str) -> str:
    """How many bytes a text in base64 stands for."""
    return f"{len(encoded) * 3 // 4 - encoded[-2:].count('='):,} bytes"
