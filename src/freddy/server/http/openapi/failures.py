"""The errors a caller can meet, as each dialect writes them."""

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from freddy.server.core import errors
from freddy.server.dialects.base import Dialect
from freddy.server.http.openapi.schemas import Schema

SHARED = ("x-request-id", "freddy-processing-ms")
"""Headers of every answer."""
LIMITED = tuple(
    f"x-ratelimit-{what}-{noun}" for noun in ("requests", "tokens") for what in ("limit", "remaining", "reset")
)
"""Headers of the answers to what limits hold for, whether it passed or was refused."""
MEANING = {
    400: "The request cannot be understood, or does not fit the model.",
    401: "No API key, or not a valid one.",
    403: "The key may not do this, or not in this organization.",
    404: "There is no such thing, or it belongs to others.",
    405: "The path does not know this method.",
    409: "Not in a state that allows this, or taken already.",
    413: "The body is larger than the setting `server.max_body_bytes`, or a file than `files.max_bytes`.",
    415: "The body is of a kind that is not read here.",
    422: "A value of a wrong type or out of its range; `param` and `details` say which and why.",
    429: "Too many requests. Wait as long as `Retry-After` says.",
    500: "A fault of the server. Its log has more, under the request's id.",
    502: "The model's provider gave no useful answer.",
    503: "The model or the database cannot be reached now, or the server is stopping.",
    504: "The model's provider did not answer in time.",
}


def kinds() -> Iterator[type[errors.FreddyError]]:
    """Every error there is, as in the tree of `core/errors.py`."""
    waiting = list(errors.FreddyError.__subclasses__())
    while waiting:
        kind = waiting.pop(0)
        yield kind
        waiting[:0] = kind.__subclasses__()


def answers(dialect: Dialect, schema: str) -> dict[int, Schema]:
    """By status: the answer of the OpenAPI document, with an example of each error."""
    examples: dict[int, Schema] = defaultdict(dict)
    for kind in kinds():
        failure = errors.Failure(
            message="What was wrong",
            type=kind.type,
            code=kind.default_code,
            status=kind.status,
            param="temperature" if kind is errors.InvalidValue else None,
            details="what would be right",
        )
        status, body = dialect.encode_error(failure)
        examples[status][kind.default_code] = {"value": msgspec.json.decode(body)}
    return {
        status: {
            "description": MEANING[status],
            "headers": _headers(status),
            "content": {
                "application/json": {
                    "schema": {"$ref": f"#/components/schemas/{schema}"},
                    "examples": examples[status],
                }
            },
        }
        for status in sorted(examples)
    }


def _headers(status: int) -> Schema:
    more = {429: ("retry-after", *LIMITED), 503: ("retry-after",)}.get(status, ())
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*SHARED, *more)}
