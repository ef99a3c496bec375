"""Owns which answers to requests for approval are taken up: those to what this server itself has asked. Pure.

A request for approval goes through its caller's hands, so its id carries a mark: until when it holds, and two codes
(HMAC-SHA256, https://www.rfc-editor.org/rfc/rfc2104) that only this server can write, one over what was asked, the
other over where the call goes. Ids mean nothing to callers, so every client hands the mark back.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from msgspec.structs import replace

from freddy.server.core import items

_MARKED: Final = re.compile(r"(mcpr_[0-9a-f]{1,64})_([0-9a-f]{10})([0-9a-f]{32})([0-9a-f]{16})", re.ASCII)

_LONG: Final = 256 * 1024
"""Characters of arguments that are compared as they are: to read them takes too long."""


def marked(
    request: items.ApprovalRequest, *, key: bytes, organization_id: str, origin: str | None
) -> items.ApprovalRequest:
    """The request with a mark in its id. `origin` is where its call goes, in words that mean nothing else."""
    expires = f"{request.expires_at or 0:010x}"
    asked = _asked(request, key, organization_id, born=request.id, expires=expires)
    return replace(request, id=f"{request.id}_{expires}{asked}{_goes(asked, key, origin)}")


def asked_by(request: items.ApprovalRequest, key: bytes, *, organization_id: str) -> bool:
    """Whether it is, word for word, what was marked with this key for this organization."""
    mark = _MARKED.fullmatch(request.id)
    if mark is None:
        return False
    born, expires, asked, _ = mark.groups()
    return hmac.compare_digest(asked, _asked(request, key, organization_id, born=born, expires=expires))


def goes_to(request: items.ApprovalRequest, key: bytes, *, origin: str | None) -> bool:
    """Whether its call goes where it went when it was asked."""
    mark = _MARKED.fullmatch(request.id)
    return mark is not None and hmac.compare_digest(mark[4], _goes(mark[3], key, origin))


def expires_at(request: items.ApprovalRequest) -> int | None:
    """In Unix seconds, as it was marked: what is handed back beside the id may be anything."""
    mark = _MARKED.fullmatch(request.id)
    return int(mark[2], 16) or None if mark else request.expires_at


def _asked(request: items.ApprovalRequest, key: bytes, organization_id: str, *, born: str, expires: str) -> str:
    label = "function" if request.server_label is None else f"mcp {request.server_label}"
    return _code(key, "asked", organization_id, born, expires, label, request.name, plain(request.arguments))[:32]


def plain(arguments: str) -> str:
    """The arguments in one spelling: they come back with their keys in another order, or spaced otherwise.

    What has a key twice, or is no JSON, means one thing to one reader and another to the next: it stays as it is.
    """
    if len(arguments) > _LONG:
        return arguments
    try:
        said = json.loads(arguments, object_pairs_hook=_unique, parse_constant=_refused)
        return json.dumps(said, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return arguments


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError
    return told


def _refused(_: str) -> object:
    raise ValueError


def _goes(asked: str, key: bytes, origin: str | None) -> str:
    return _code(key, "goes", asked, "nowhere" if origin is None else f"to {origin}")[:16]


def _code(key: bytes, *words: str) -> str:
    # Each with its length, so that no two lists of words are the same bytes.
    told = [word.encode(errors="surrogatepass") for word in words]
    return hmac.new(key, b"".join(b"%d:%b" % (len(one), one) for one in told), hashlib.sha256).hexdigest()


def fresh(given: Sequence[items.Item]) -> tuple[items.ApprovalAnswer, ...]:
    """The answers of an input that nothing was done about yet.

    A caller may hand back a whole conversation, with the answers of long ago: what was approved has its call beside it
    then, or its output, and behind what was denied the model has gone on.
    """
    answers = [place for place, item in enumerate(given) if isinstance(item, items.ApprovalAnswer)]
    if not answers:
        return ()
    made = {item.approval_id for item in given if isinstance(item, items.HostedCall)}
    answered = {item.call_id for item in given if isinstance(item, items.FunctionOutput)}
    made.update(
        item.id
        for item in given
        if isinstance(item, items.ApprovalRequest) and item.server_label is None and item.call_id in answered
    )
    return tuple(_fresh(given, answers, made))


def _fresh(
    given: Sequence[items.Item], answers: Sequence[int], made: set[str | None]
) -> Iterator[items.ApprovalAnswer]:
    for place in answers:
        answer = given[place]
        assert isinstance(answer, items.ApprovalAnswer)
        if answer.request_id in made:
            continue
        if answer.approve or not any(map(_said_by_model, islice(given, place + 1, None))):
            yield answer


def _said_by_model(item: items.Item) -> bool:
    match item:
        case items.Message(role="assistant") | items.Reasoning() | items.FunctionCall() | items.HostedCall():
            return True
        case _:
            return False
