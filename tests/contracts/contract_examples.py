"""Examples of what the stores keep: responses in several states, and any item that can be."""

import itertools
import json
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec.structs import replace

from freddy.server.core import errors, items, request, toolspec
from freddy.server.core.response import Response
from freddy.server.core.usage import Usage

ACME = "org_acme"
OTHERS = "org_others"

_numbers = itertools.count(1)


def message(text: str, *, id: str | None = None, role: items.Role = "user") -> items.Message:  # noqa: A002
    return items.Message(id=id or f"msg_{next(_numbers)}", role=role, parts=(items.Text(text),), status="completed")


def begun(*texts: str, **changes: Any) -> Response:
    """A response in progress; `texts` are its input."""
    begun = Response(
        id=f"resp_{next(_numbers)}",
        organization_id=ACME,
        key_id="key_1",
        created_at=1_000,
        status="in_progress",
        model="tiny",
        request=request.Request(
            model="tiny",
            input=tuple(message(text) for text in texts),
            instructions="Be brief.",
            tools=(toolspec.Function("look", parameters=msgspec.Raw(b'{"type":"object"}')),),
            metadata={"topic": "weather"},
        ),
    )
    return replace(begun, **changes)


def continues(response: Response, *texts: str) -> Response:
    following = begun(*texts, organization_id=response.organization_id)
    return replace(following, request=replace(following.request, previous_response_id=response.id))


def completed(response: Response, *texts: str, **changes: Any) -> Response:
    ended = replace(
        response,
        status="completed",
        completed_at=response.created_at + 5,
        model="tiny-2026",
        provider="stage",
        output=tuple(message(text, role="assistant") for text in texts),
        usage=Usage(input_tokens=3, output_tokens=4),
        warnings=("Something was left out.",),
    )
    return replace(ended, **changes)


def beginning(ended: Response) -> Response:
    """As it was when it began."""
    return replace(ended, status="in_progress", output=(), completed_at=None)


def failed(response: Response) -> Response:
    failure = errors.Failure(message="The model is away.", code="provider_unavailable", status=503)
    return replace(response, status="failed", completed_at=response.created_at + 1, failure=failure)


_texts = st.text(max_size=40)
# PostgreSQL has no U+0000 in the texts of its columns; within JSON it is written out.
_ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)
_raws = st.dictionaries(_texts, _json, max_size=3).map(lambda value: msgspec.Raw(json.dumps(value).encode()))
_floats = st.floats(allow_nan=False, allow_infinity=False)
_tops = st.builds(items.TopLogprob, token=_texts, logprob=_floats)
_logprobs = st.builds(
    items.Logprob, token=_texts, logprob=_floats, bytes=st.binary(max_size=4).map(tuple), top=st.tuples(_tops)
)
_annotations = st.builds(items.Annotation, type=_texts, data=_raws)


def _several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(one, max_size=3).map(tuple)


_part = st.one_of(
    st.builds(items.Text, text=_texts, annotations=_several(_annotations), logprobs=_several(_logprobs)),
    st.builds(items.Refusal, refusal=_texts),
    st.builds(items.Image),
    st.builds(items.Audio),
    st.builds(items.File),
)
any_item: st.SearchStrategy[items.Item] = st.one_of(
    st.builds(items.Message, id=_ids, parts=_several(_part)),
    st.builds(items.Reasoning, id=_ids, texts=_several(_texts), summaries=_several(_texts)),
    st.builds(items.FunctionCall, id=_ids, call_id=_ids, name=_texts, arguments=_texts),
    st.builds(items.FunctionOutput, id=_ids, call_id=_ids, parts=_several(_part)),
    st.builds(items.Other, id=_ids, type=_texts, data=_raws),
)
