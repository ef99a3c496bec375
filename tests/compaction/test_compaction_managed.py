"""`context_management`, and the trigger: a conversation that is shortened while it is answered."""

import pytest
from test_compaction_compact import spoken

from freddy.server.config import settings as parts
from mcp_servers import python_server
from upstream import Answer, Fault, call, text

LONG = "The quick brown fox jumps over the lazy dog. " * 130
"""More than 1000 tokens."""
MANAGED = [{"type": "compaction", "compact_threshold": 1000}]
DIALECTS = ("freddy", "openai")
QUESTION = {"role": "user", "content": "?"}
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


async def test_a_long_conversation_is_shortened_before_it_is_answered(gateway, upstream):
    first = await gateway.ask("openai", input=LONG)
    upstream.says(Answer(text("A fox."), usage=(100, 20)), Answer(text("Yes."), usage=(11, 7)))
    stream = await gateway.told("openai", input="And?", previous_response_id=first["id"], context_management=MANAGED)
    assert stream.types == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.compaction.compacting",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    added, compacting, done = stream.events[2:5]
    compaction = done["item"]
    assert added["item"] == {"type": "compaction", "id": compaction["id"], "encrypted_content": ""}
    assert (compacting["item_id"], compacting["output_index"]) == (compaction["id"], 0)
    ended = stream.last["response"]
    assert [item["type"] for item in ended["output"]] == ["compaction", "message"]
    assert ended["output"][0] == compaction
    assert (ended["usage"]["input_tokens"], ended["usage"]["output_tokens"]) == (111, 27)
    assert upstream.last.messages == [spoken("A fox."), ("user", "And?")]


async def test_what_goes_on_from_it_reads_from_the_compaction_on(gateway, upstream):
    first = await gateway.ask("openai", input=LONG)
    upstream.says(Answer(text("A fox.")), Answer(text("Yes.")))
    second = await gateway.ask("openai", input="And?", previous_response_id=first["id"], context_management=MANAGED)
    await gateway.ask("openai", input="More?", previous_response_id=second["id"], context_management=MANAGED)
    assert len(upstream.calls) == 4
    assert upstream.last.messages == [spoken("A fox."), ("user", "And?"), ("assistant", "Yes."), ("user", "More?")]


async def test_a_caller_that_keeps_the_conversation_hands_it_back(gateway, upstream):
    said = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "I am Ada."},
        {"role": "assistant", "content": LONG},
        {"role": "user", "content": "And?"},
    ]
    upstream.says(Answer(text("A fox.")), Answer(text("Yes.")))
    first = await gateway.ask("openai", input=said, store=False, context_management=MANAGED)
    expected = [
        ("system", "Be brief."),
        ("user", "I am Ada."),
        spoken("A fox."),
        ("user", "And?"),
    ]
    assert upstream.last.messages == expected
    more = {"role": "user", "content": "More?"}
    for handed in ([*said, *first["output"], more], [*first["output"], more]):
        await gateway.ask("openai", input=handed, store=False, context_management=MANAGED)
        assert upstream.last.messages == [*expected, ("assistant", "Yes."), ("user", "More?")]
    assert len(upstream.calls) == 4


async def test_a_short_conversation_is_left_alone(gateway, upstream):
    answered = await gateway.ask("openai", input="Hi", context_management=MANAGED)
    assert [item["type"] for item in answered["output"]] == ["message"]
    assert upstream.last.messages == [("user", "Hi")]


async def test_an_input_that_is_long_by_itself_is_answered(gateway, upstream):
    await gateway.ask("openai", input=LONG, context_management=MANAGED)
    assert upstream.last.messages == [("user", LONG)]


async def test_the_threshold_is_three_quarters_of_what_the_model_reads_if_none_is_given(gateway, upstream):
    said = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": LONG * 4},
        {"role": "user", "content": "?"},
    ]
    managed = [{"type": "compaction"}]
    await gateway.ask("openai", input=said, context_management=managed)
    assert len(upstream.calls) == 1
    said[1]["content"] = LONG * 6
    answered = await gateway.ask("openai", input=said, context_management=managed)
    assert answered["output"][0]["type"] == "compaction"


async def test_a_conversation_that_the_model_cannot_read_is_shortened_and_answered(gateway, upstream):
    said = [
        {"role": "user", "content": LONG},
        {"role": "assistant", "content": LONG * 10},
        {"role": "user", "content": "?"},
    ]
    answered = await gateway.ask("openai", input=said, context_management=MANAGED)
    assert answered["output"][0]["type"] == "compaction"
    assert upstream.last.messages[-1] == ("user", "?")


async def test_outputs_of_tools_are_shortened_between_two_turns(gateway, upstream):
    said = [
        {"role": "user", "content": "Look twice."},
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": '{"at":1}'},
        {"type": "function_call_output", "call_id": "a", "output": LONG},
        {"type": "function_call", "call_id": "b", "name": "look", "arguments": '{"at":2}'},
        {"type": "function_call_output", "call_id": "b", "output": "Nothing."},
    ]
    upstream.says(Answer(text("Saw a fox at 1.")), Answer(text("Done.")))
    await gateway.ask("openai", input=said, tools=[LOOK], context_management=MANAGED)
    record = upstream.calls[0].messages[1][1]
    assert "[assistant calls look, call a]" in record
    assert "call b" not in record
    messages = upstream.last.body["messages"]
    assert [message["role"] for message in messages] == ["user", "user", "assistant", "tool"]
    assert messages[0]["content"] == "Look twice."
    assert messages[1]["content"] == spoken("Saw a fox at 1.")[1]
    assert [each["id"] for each in messages[2]["tool_calls"]] == ["b"]


async def test_a_call_and_its_output_stay_together(gateway, upstream):
    said = [
        {"role": "user", "content": "Look."},
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": LONG},
    ]
    upstream.says(Answer(text("Saw a fox.")), Answer(text("Done.")))
    await gateway.ask("openai", input=said, tools=[LOOK], context_management=MANAGED)
    assert upstream.last.messages == [("user", "Look."), spoken("Saw a fox.")]


async def test_the_summary_counts_for_no_limit_of_the_answer(gateway, upstream):
    first = await gateway.ask("openai", input=LONG)
    upstream.says(Answer(text("A fox."), usage=(100, 500)), Answer(text("Yes.")))
    ended = await gateway.ask(
        "openai",
        input="And?",
        previous_response_id=first["id"],
        context_management=MANAGED,
        max_output_tokens=100,
    )
    assert ended["status"] == "completed"
    body = upstream.last.body
    assert body.get("max_completion_tokens", body.get("max_tokens")) == 100


async def test_a_conversation_of_openais_is_shortened(gateway, upstream):
    made = (await gateway.post("/v1/conversations", {})).json()
    await gateway.ask("openai", input=LONG, conversation=made["id"])
    upstream.says(Answer(text("A fox.")), Answer(text("Yes.")))
    await gateway.ask("openai", input="And?", conversation=made["id"], context_management=MANAGED)
    await gateway.ask("openai", input="More?", conversation=made["id"])
    assert upstream.last.messages == [spoken("A fox."), ("user", "And?"), ("assistant", "Yes."), ("user", "More?")]
    listed = (await gateway.get(f"/v1/conversations/{made['id']}/items?order=asc")).json()["data"]
    assert [item["type"] for item in listed] == [*["message"] * 3, "compaction", *["message"] * 3]


async def test_a_thread_is_shortened_and_its_messages_are_all_there(gateway, upstream):
    first = await gateway.ask("freddy", input=LONG, thread="t1")
    upstream.says(Answer(text("A fox.")), Answer(text("Yes.")))
    second = await gateway.ask("freddy", input="And?", thread="t1", context_management=MANAGED)
    assert [item["type"] for item in second["output"]] == ["message"]
    assert second["response"] == "Yes."
    await gateway.ask("freddy", input="More?", thread="t1")
    assert upstream.last.messages == [spoken("A fox."), ("user", "And?"), ("assistant", "Yes."), ("user", "More?")]
    messages = (await gateway.get("/v1/threads/t1/messages")).json()
    assert len(messages["data"] if "data" in messages else messages["messages"]) == 6
    assert first["thread"] == "t1"


async def test_the_freddy_stream_says_nothing_of_it_and_counts_without_it(gateway, upstream):
    first = await gateway.ask("freddy", input=LONG)
    upstream.says(Answer(text("A fox.")), Answer(text("Yes.")))
    stream = await gateway.told("freddy", input="And?", previous_response_id=first["id"], contextManagement=MANAGED)
    assert not any("compact" in kind for kind in stream.types)
    (added,) = stream.of("response.output_item.added")
    assert (added["output_index"], added["item"]["type"]) == (0, "message")
    assert stream.text == "Yes."


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("managed", "param"),
    [
        ([{"type": "compaction", "compact_threshold": 999}], "context_management[0].compact_threshold"),
        ([{"type": "clearing"}], "context_management[0].type"),
        ([{"type": "compaction"}, {"type": "compaction"}], "context_management[1]"),
    ],
)
async def test_what_is_no_management_is_refused(gateway, upstream, dialect, managed, param):
    body = {"inputs": "Hi"} if dialect == "freddy" else {"model": "stage", "input": "Hi"}
    path = "/v1/model/response" if dialect == "freddy" else "/v1/responses"
    reply = await gateway.post(path, body | {"context_management": managed})
    assert reply.status_code in (400, 422)
    assert reply.json()["error"]["param"] == param
    assert not upstream.calls


async def test_a_summary_that_fails_fails_the_response(gateway, upstream):
    first = await gateway.ask("openai", input=LONG)
    upstream.says(Fault(500, "no"))
    reply = await gateway.post(
        "/v1/responses",
        {"model": "stage", "input": "?", "previous_response_id": first["id"], "context_management": MANAGED},
    )
    assert reply.status_code == 502, reply.text
    assert len(upstream.calls) == 2


async def test_the_trigger_compacts_and_answers_nothing(gateway, upstream):
    said = [{"role": "user", "content": "I am Ada."}, {"role": "assistant", "content": "Hello."}]
    upstream.says(Answer(text("Ada is here."), usage=(100, 20)))
    stream = await gateway.told("openai", input=[*said, {"type": "compaction_trigger"}], store=False, tools=[LOOK])
    assert stream.types == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.compaction.compacting",
        "response.output_item.done",
        "response.completed",
    ]
    (compaction,) = stream.last["response"]["output"]
    assert len(upstream.calls) == 1
    await gateway.ask("openai", input=[compaction, {"role": "user", "content": "Who am I?"}])
    assert upstream.last.messages == [("user", "I am Ada."), spoken("Ada is here."), ("user", "Who am I?")]


async def test_the_trigger_is_no_item_of_the_input(gateway, upstream):
    first = await gateway.ask("openai", input="I am Ada.")
    done = await gateway.ask("openai", input=[{"type": "compaction_trigger"}], previous_response_id=first["id"])
    assert [item["type"] for item in done["output"]] == ["compaction"]
    assert (await gateway.get(f"/v1/responses/{done['id']}/input_items")).json()["data"] == []
    await gateway.ask("openai", input="Who am I?", previous_response_id=done["id"])
    assert upstream.last.messages[0] == ("user", "I am Ada.")


async def test_the_trigger_comes_last(gateway, upstream):
    reply = await gateway.post(
        "/v1/responses",
        {"model": "stage", "input": [{"type": "compaction_trigger"}, QUESTION]},
    )
    assert (reply.json()["error"]["param"], len(upstream.calls)) == ("input[0]", 0)


async def test_where_there_is_nothing_to_compact_no_stream_begins(gateway, upstream):
    said = [{"role": "developer", "content": "Be kind."}, {"type": "compaction_trigger"}]
    reply = await gateway.post("/v1/responses", {"model": "stage", "input": said, "stream": True})
    assert reply.status_code == 400
    assert "nothing to compact" in reply.json()["error"]["message"]
    assert not upstream.calls


async def test_it_is_done_in_the_background(gateway, upstream):
    first = await gateway.ask("openai", input=LONG)
    upstream.says(Answer(text("A fox.")), Answer(text("Yes.")))
    begun = await gateway.ask(
        "openai", input="And?", previous_response_id=first["id"], context_management=MANAGED, background=True
    )
    await gateway.ended(begun["id"])
    kept = (await gateway.get(f"/v1/responses/{begun['id']}")).json()
    assert [item["type"] for item in kept["output"]] == ["compaction", "message"]
    assert upstream.last.messages == [spoken("A fox."), ("user", "And?")]


async def test_the_usage_of_the_key_has_both_calls(gateway, upstream):
    first = await gateway.ask("freddy", input=LONG)
    upstream.says(Answer(text("A fox."), usage=(100, 20)), Answer(text("Yes."), usage=(11, 7)))
    second = await gateway.ask(
        "freddy",
        input="And?",
        previous_response_id=first["id"],
        context_management=MANAGED,
        include=["request.logs"],
    )
    assert second["usage"]["total_tokens"] == 138
    assert sum(log["type"] == "attempt" for log in second["request_logs"]) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_run_of_tools_is_shortened_when_their_outputs_are_too_much(opened, upstream, dialect):
    gateway = await opened(
        routing=parts.Routing(context_tokens=8000),
        network=parts.Network(allow_private=("127.0.0.0/8",)),
    )
    async with python_server() as server:
        tool = {"type": "mcp", "server_label": "sums", "server_url": server.url, "require_approval": "never"}
        upstream.says(
            Answer(text(LONG), call("add", '{"a":1,"b":1}', call_id="a")),
            Answer(text("Two, and a fox."), usage=(100, 20)),
            Answer(call("add", '{"a":2,"b":3}', call_id="b")),
            Answer(text("Five.")),
        )
        ended = await gateway.ask(dialect, input="Add.", tools=[tool], context_management=MANAGED)
    kinds = [item["type"] for item in ended["output"]]
    if dialect == "openai":
        assert kinds == ["mcp_list_tools", "message", "mcp_call", "compaction", "mcp_call", "message"]
    else:
        assert "compaction" not in kinds
    assert "tools" not in upstream.calls[1].body
    assert [message["role"] for message in upstream.last.body["messages"]] == ["user", "user", "assistant", "tool"]
    assert upstream.last.messages[:2] == [("user", "Add."), spoken("Two, and a fox.")]
    assert ended["usage"]["total_tokens"] == 120 + 3 * 18
