"""What the core says survives being kept as JSON."""

import msgspec

from freddy.server.core import items, request, toolspec
from freddy_fakes import raw

FULL = request.Request(
    model="m",
    input=(
        items.Message("msg_1", "user", (items.Text("Hi"), items.Image(url="https://example.org/a.png"))),
        items.Reasoning("rs_1", ("open",), ("summary",), "sealed"),
        items.FunctionCall("fc_1", "call_1", "lookup", "{}"),
        items.FunctionOutput("fco_1", "call_1", (items.Text("42"),)),
        items.Other("item_1", "item_reference", raw({"id": "msg_0"})),
    ),
    instructions="Be brief",
    sampling=request.Sampling(temperature=0.5, stop=("end",)),
    output=request.Output("json_schema", (request.Schema("answer", raw({"type": "object"})),)),
    reasoning=request.Reasoning("high", "auto"),
    tools=(
        toolspec.Function("lookup", "Looks up", raw({"type": "object"}), strict=True),
        toolspec.Function("patch", form="custom", format=raw({"type": "text"})),
        toolspec.Function("now"),
        toolspec.Other("web_search", raw({"type": "web_search"})),
    ),
    tool_choice=toolspec.Allowed(("lookup",), "required"),
    thread=request.ThreadRef("thrd_1", {"a": "b"}),
    metadata={"k": "v"},
    rule_context=raw({"task": "x"}),
    echo={"service_tier": raw("auto")},
)


def test_a_request_survives_being_kept_as_json():
    kept = msgspec.json.encode(FULL)
    assert msgspec.json.decode(kept, type=request.Request) == FULL


def test_a_request_that_asks_for_little_is_kept_short():
    little = request.Request(model="m", input=())
    assert msgspec.json.encode(little) == b'{"model":"m","input":[]}'
    assert msgspec.json.decode(b'{"model":"m","input":[]}', type=request.Request) == little


def test_a_tool_without_parameters_stays_without_them():
    now = toolspec.Function("now")
    assert msgspec.json.decode(msgspec.json.encode(now), type=toolspec.Function).parameters is None
