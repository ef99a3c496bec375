"""Tools and forms for models that know of none: any turn as a turn of plain text. Pure.

The form is the one that Qwen, Hermes and many small models were trained on.
https://qwen.readthedocs.io/en/latest/framework/function_call.html
"""

import json
from collections.abc import Iterable, Sequence
from typing import TypeAlias, assert_never

import msgspec

from freddy.server.core import items, request, schemas, toolspec
from freddy.server.core.turn import Turn

Json: TypeAlias = dict[str, object]

CALL, CALL_END = "<tool_call>", "</tool_call>"
OUTPUT, OUTPUT_END = "<tool_response>", "</tool_response>"
NOW_ANSWER = "Now answer my question in words, using the result above. Do not repeat a function call."
"""Without it models of this size call the same function again and again."""
CUSTOM_PARAMETERS: Json = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
ANY_OBJECT: Json = {"type": "object"}
LONGEST_TOLD = 2_000
"""Characters of a schema that the model is shown: a longer one would take too much of what it can read."""


def offered(turn: Turn) -> tuple[toolspec.Function, ...]:
    """The tools that this turn may call."""
    match turn.tool_choice:
        case "none":
            return ()
        case toolspec.Named(name):
            return tuple(tool for tool in turn.tools if tool.name == name)
        case toolspec.Allowed(names):
            return tuple(tool for tool in turn.tools if tool.name in names)
        case _:
            return turn.tools


def plain(turn: Turn) -> Turn:
    """The same turn for a model that only reads and writes text. What it must write is told by `form`."""
    tools = offered(turn)
    past = any(isinstance(item, items.FunctionCall | items.FunctionOutput) for item in turn.items)
    told = tuple(_told(turn.items, may_answer=not must_call(turn))) if past else turn.items
    instructions = _instructions(turn, tools) if tools else turn.instructions
    if turn.output.mode != "text" and not must_call(turn):
        instructions = "\n\n".join(part for part in (instructions, _asked_form(turn.output)) if part)
    plainly = msgspec.structs.replace(
        turn, items=told, instructions=instructions, output=request.Output(), tools=(), tool_choice="auto"
    )
    return msgspec.structs.replace(plainly, sampling=_sampling(turn), live=True) if tools else plainly


def form(turn: Turn) -> msgspec.Raw | None:
    """The one JSON Schema of all that may be written, calls beside answers; None where it may be any text."""
    if turn.output.mode == "text" and not must_call(turn):
        return None
    answers: list[object] = []
    if not must_call(turn):
        answers = [msgspec.json.decode(schema.schema) for schema in turn.output.schemas] or [ANY_OBJECT]
    return msgspec.Raw(msgspec.json.encode(_either(offered(turn), answers)))


def answered(turn: Turn) -> frozenset[tuple[str, str]]:
    """The calls, by name and arguments, that were made since the user last spoke."""
    calls: set[tuple[str, str]] = set()
    for item in reversed(turn.items):
        match item:
            case items.FunctionCall(name=name, arguments=arguments, form="function"):
                calls.add((name, canonical(arguments)))
            case items.Message(role="user"):
                break
            case _:
                continue
    return frozenset(calls)


def canonical(arguments: str) -> str:
    """The same text for arguments that mean the same."""
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except ValueError:
        return arguments


def must_call(turn: Turn) -> bool:
    choice = turn.tool_choice
    if isinstance(choice, toolspec.Allowed):
        return choice.mode == "required"
    return choice == "required" or isinstance(choice, toolspec.Named)


def _instructions(turn: Turn, tools: Sequence[toolspec.Function]) -> str:
    listed = "\n".join(json.dumps(_listed(tool), ensure_ascii=False) for tool in tools)
    many = "one or more functions" if turn.parallel_tool_calls else "a function"
    must = "You must call a function now." if must_call(turn) else ""
    return f"""{turn.instructions or "You are a helpful assistant."}

# Tools

You may call {many} to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{listed}
</tools>

For each function call, return a json object with function name and arguments within \
{CALL}{CALL_END} XML tags:
{CALL}
{{"name": <function-name>, "arguments": <args-json-object>}}
{CALL_END}
{must}""".rstrip()


def _listed(tool: toolspec.Function) -> Json:
    function: Json = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function | {"parameters": parameters(tool)}}


def parameters(tool: toolspec.Function) -> Json:
    if tool.form == "custom":
        return CUSTOM_PARAMETERS
    if tool.parameters is None:
        return {"type": "object", "properties": {}}
    told = msgspec.json.decode(tool.parameters, type=dict[str, object])
    return schemas.closed(told) if tool.strict else told


def _sampling(turn: Turn) -> request.Sampling:
    """One call and no more: what a small model writes after it are outputs that it makes up."""
    if turn.parallel_tool_calls:
        return turn.sampling
    return msgspec.structs.replace(turn.sampling, stop=(*turn.sampling.stop, CALL_END))


def _asked_form(output: request.Output) -> str:
    """What the form is, in words: a model that is only held to it writes whatever comes first that fits."""
    if output.mode == "json":
        return "Answer with one JSON object and nothing else."
    one = "Answer with JSON that fits this schema, and nothing else:"
    many = "Answer with JSON that fits one of these schemas, whichever suits best, and nothing else:"
    listed = [_described(schema) for schema in output.schemas]
    return "\n".join([one if len(listed) == 1 else many, *listed])


def _described(schema: request.Schema) -> str:
    text = bytes(schema.schema).decode()
    about = f"{schema.name}: {schema.description}" if schema.description else schema.name
    return f"{about}\n{text}" if len(text) <= LONGEST_TOLD else about


def _either(tools: Sequence[toolspec.Function], answers: Sequence[object]) -> Json:
    definitions: Json = {}
    forms: list[object] = []
    for number, tool in enumerate(tools):
        arguments: object = parameters(tool)
        if _refers(arguments):
            place = f"arguments_{number}"
            definitions[place] = _moved(arguments, f"#/$defs/{place}")
            arguments = {"$ref": f"#/$defs/{place}"}
        forms.append(
            {
                "type": "object",
                "properties": {"name": {"const": tool.name}, "arguments": arguments},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    for number, answer in enumerate(answers):
        moved = _nameless(answer) if len(answers) + len(tools) > 1 else answer
        if _refers(answer):
            place = f"answer_{number}"
            definitions[place] = _moved(moved, f"#/$defs/{place}")
            moved = {"$ref": f"#/$defs/{place}"}
        forms.append(moved)
    if len(tools) + len(answers) == 1 and answers:
        return answers[0] if isinstance(answers[0], dict) else {}
    either: Json = {"anyOf": forms} if len(forms) > 1 else dict(forms[0])  # type: ignore[call-overload]
    return either | {"$defs": definitions} if definitions else either


def _nameless(schema: object) -> object:
    """A schema that becomes part of another has no address of its own."""
    if not isinstance(schema, dict):
        return schema
    return {key: value for key, value in schema.items() if key not in ("$id", "$schema")}


def _refers(schema: object) -> bool:
    match schema:
        case dict():
            return "$ref" in schema or any(_refers(value) for value in schema.values())
        case list():
            return any(_refers(value) for value in schema)
        case _:
            return False


def _moved(schema: object, place: str) -> object:
    """The schema as part of another: its references to itself lead to its new place."""
    match schema:
        case dict():
            return {
                key: place + value[1:]
                if key == "$ref" and isinstance(value, str) and value.startswith("#")
                else _moved(value, place)
                for key, value in schema.items()
            }
        case list():
            return [_moved(value, place) for value in schema]
        case _:
            return schema


def _told(history: Iterable[items.Readable], *, may_answer: bool) -> list[items.Readable]:
    """Calls and outputs as messages; neighbours that belong to one message are one."""
    told: list[items.Readable] = []
    last: type[items.Readable] | None = None
    for item in history:
        match item:
            case items.FunctionCall():
                message = _message(item.id, "assistant", (items.Text(_call(item)),))
                # A call belongs to the words that the model said before it.
                joins = bool(told) and _role(told[-1]) == "assistant"
            case items.FunctionOutput():
                message = _message(item.id, "user", _answer(item))
                joins = last is items.FunctionOutput
            case items.Reasoning() | items.Compaction() | items.Other():
                continue
            case items.Message():
                told.append(item)
                last = items.Message
                continue
            case _:
                assert_never(item)
        if joins:
            before = told.pop()
            assert isinstance(before, items.Message)
            message = _message(before.id, message.role, (*before.parts, *message.parts))
        told.append(message)
        last = type(item)
    if last is items.FunctionOutput and may_answer:
        before = told.pop()
        assert isinstance(before, items.Message)
        told.append(_message(before.id, "user", (*before.parts, items.Text(NOW_ANSWER))))
    return told


def _role(item: items.Readable) -> str | None:
    return item.role if isinstance(item, items.Message) else None


def _message(item_id: str, role: items.Role, parts: tuple[items.Part, ...]) -> items.Message:
    if all(isinstance(part, items.Text) for part in parts):
        text = "\n".join(part.text for part in parts if isinstance(part, items.Text))
        return items.Message(item_id, role, (items.Text(text),))
    return items.Message(item_id, role, parts)


def _call(call: items.FunctionCall) -> str:
    name, arguments = json.dumps(call.name), call.arguments or "{}"
    if call.form == "custom":
        arguments = json.dumps({"input": call.arguments}, ensure_ascii=False)
    return f'{CALL}\n{{"name": {name}, "arguments": {arguments}}}\n{CALL_END}'


def _answer(output: items.FunctionOutput) -> tuple[items.Part, ...]:
    return (items.Text(OUTPUT), *output.parts, items.Text(OUTPUT_END))
