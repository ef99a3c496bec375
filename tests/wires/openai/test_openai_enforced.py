"""For which answers OpenAI itself sees to the form."""

import msgspec
import pytest

from freddy.server.core import items, request
from freddy.server.core.turn import Turn
from freddy.server.providers.openai.request import enforced

CLOSED = {
    "type": "object",
    "properties": {"km": {"type": "integer", "minimum": 0}},
    "required": ["km"],
    "additionalProperties": False,
}
OPEN = {"type": "object", "properties": {"km": {"type": "integer"}}}


def asking(*schemas: object, strict: bool = True) -> request.Output:
    named = enumerate(msgspec.Raw(msgspec.json.encode(schema)) for schema in schemas)
    return request.Output("json_schema", tuple(request.Schema(f"s{n}", one, strict=strict) for n, one in named))


@pytest.mark.parametrize(
    ("output", "sure"),
    [
        (request.Output("json"), True),
        (request.Output("text"), False),
        (asking(CLOSED), True),
        (asking(CLOSED, CLOSED), True),
        (asking(OPEN), False),
        (asking(CLOSED, OPEN), False),
        (asking({**CLOSED, "minProperties": 1}), False),
        (asking(CLOSED, strict=False), False),
    ],
)
def test_openai_enforces_what_its_strict_mode_takes(output, sure):
    hello = items.Message("msg_1", "user", (items.Text("Hi"),))
    assert enforced(Turn("m", (hello,), output=output)) == sure
