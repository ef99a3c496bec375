"""The reference for people: one page, rendered from the OpenAPI document."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from typing import Any

from freddy.server.http.openapi import document, events
from freddy.server.http.openapi.schemas import Schema
from freddy.server.http.openapi.style import page

_CODE = re.compile(r"`([^`]+)`")
_CURL = """curl http://127.0.0.1:8000/v1/model/response \\
  -H 'Authorization: Bearer YOUR_API_KEY' -H 'Content-Type: application/json' \\
  -d '{"inputs": "Say hello in one sentence."}'"""
_UNITS = """
<h2 id="synapses-and-neurons">Synapses and neurons</h2>
<p id="synapses-and-tokens">The Freddy dialect counts what a model reads in <b>neurons</b> (messages, the
thread, instructions, outputs of tools) and what it writes in <b>synapses</b> (text, calls, and thinking even
where it is hidden). The OpenAI dialect counts both in <b>tokens</b>, and every <code>usage</code> has
tokens.</p>
<p>As a limit (<code>max_output_synapses</code>) one synapse is one token.
<code>include: ["usage.detailed"]</code> adds <code>usage.neurons</code> and <code>usage.synapses</code>, in
which a neuron and a synapse are one token each, too.</p>
"""


@cache
def rendered(version: str) -> bytes:
    """The page as it is served."""
    told = document(version)
    return page(f"Freddy {version}: API reference", f'<div class="split">{_navigation(told)}{_main(told)}</div>')


def _main(told: Schema) -> str:
    return "".join(
        (
            "<main>",
            f"<h1>Freddy {_e(told['info']['version'])}</h1>",
            "<p>The API of this server. The same as an OpenAPI document: "
            '<a href="/openapi.json">/openapi.json</a>.</p>',
            f"<pre><code>{_e(_CURL)}</code></pre>",
            '<h2 id="authentication">Authentication</h2>',
            _table(("", "How"), (_named(name, scheme) for name, scheme in _part(told, "securitySchemes").items())),
            "<p>In local development mode a call without a key is answered too.</p>",
            '<h2 id="headers">Headers of every answer</h2>',
            _table(("Header", ""), (_named(name, header) for name, header in _part(told, "headers").items())),
            _UNITS,
            *(_tag(told, tag) for tag in told["tags"]),
            '<h2 id="events">Events of a stream</h2>',
            "<p>Each event has its name in its <code>event:</code> line and, as JSON in its "
            "<code>data:</code> line, "
            "<code>type</code> (the name again), <code>sequence_number</code> and the members below. "
            "The first number is "
            "0; in the Freddy dialect some are left out. Lines that begin with a colon keep the stream "
            "open.</p>",
            _events("Freddy dialect", events.FREDDY),
            _events("OpenAI dialect", events.OPENAI),
            "<p>After the last event a stream of the OpenAI dialect ends with <code>data: "
            "[DONE]</code>; one of the "
            "Freddy dialect just ends.</p>",
            _errors(told),
            '<h2 id="schemas">Schemas</h2>',
            *(_schema(name, schema) for name, schema in _part(told, "schemas").items()),
            "</main>",
        )
    )


def _navigation(told: Schema) -> str:
    def links(pairs: Iterable[tuple[str, str]]) -> str:
        return "<ul>" + "".join(f'<li><a href="#{_e(to)}">{label}</a></li>' for to, label in pairs) + "</ul>"

    operations: dict[str, list[tuple[str, str]]] = {}
    for _, method, operation in _operations(told):
        label = f"{_method(method)} {_e(operation['summary'])}"
        operations.setdefault(operation["tags"][0], []).append((operation["operationId"], label))
    general = (
        ("authentication", "Authentication"),
        ("headers", "Headers"),
        ("synapses-and-neurons", "Synapses and neurons"),
        ("events", "Events"),
        ("errors", "Errors"),
        ("schemas", "Schemas"),
    )
    groups = "".join(f"<b>{_e(tag)}</b>{links(pairs)}" for tag, pairs in operations.items())
    return f'<nav aria-label="Contents">{links(general)}{groups}</nav>'


def _tag(told: Schema, tag: Schema) -> str:
    name = tag["name"]
    found = (each for each in _operations(told) if each[2]["tags"] == [name])
    heading = f'<h2 id="{_e(name.lower().replace(" ", "-"))}">{_e(name)}</h2><p>{_inline(tag["description"])}</p>'
    return heading + "".join(_operation(told, *each) for each in found)


def _operation(told: Schema, path: str, method: str, operation: Schema) -> str:
    pieces = [
        f'<h3 id="{_e(operation["operationId"])}">{_e(operation["summary"])}</h3>',
        f"<p>{_method(method)} <code>{_e(path)}</code></p>",
    ]
    if "description" in operation:
        pieces.append(f"<p>{_inline(operation['description'])}</p>")
    if "parameters" in operation:
        parameters = (_part(told, "parameters")[_last(each)] for each in operation["parameters"])
        pieces.append(_table(("Parameter", "In", "Type", ""), map(_parameter, parameters)))
    if "requestBody" in operation:
        for kind, content in operation["requestBody"]["content"].items():
            said = "" if kind == "application/json" else f" as <code>{_e(kind)}</code>"
            pieces.append(f"<h4>Body: {_type(content['schema'])}{said}</h4>" + _examples(content))
    pieces.append("<h4>Answers</h4>")
    rows = []
    for status, answer in operation["responses"].items():
        if "$ref" in answer:
            shared = _part(told, "responses")[_last(answer)]
            rows.append((f'<a href="#errors">{_e(status)}</a>', _inline(shared["description"])))
        else:
            rows.append((f"<code>{_e(status)}</code>", _answer(answer)))
    return "".join(pieces) + _table(("Status", ""), rows)


def _parameter(parameter: Schema) -> tuple[str, ...]:
    schema = parameter["schema"]
    return (
        f"<code>{_e(parameter['name'])}</code>{_needed(needed=parameter.get('required', False))}",
        _e(parameter["in"]),
        _type(schema) + _limits(schema),
        _inline(parameter["description"]),
    )


def _answer(answer: Schema) -> str:
    told = [_inline(answer["description"])]
    for kind, content in answer["content"].items():
        said = '<a href="#events">events</a>' if kind == "text/event-stream" else _type(content["schema"])
        told.append(f"<div><code>{_e(kind)}</code> {said}{_examples(content)}</div>")
    return "".join(told)


def _examples(content: Schema) -> str:
    shown = []
    for name, example in content.get("examples", {}).items():
        value = example["value"]
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        shown.append(f"<details><summary>Example: {_e(name)}</summary><pre><code>{_e(text)}</code></pre></details>")
    return "".join(shown)


def _events(title: str, told: Iterable[events.Told]) -> str:
    rows = ((f"<code>{_e(event.name)}</code>", _inline(event.when), _e(event.members)) for event in told)
    return f"<h3>{_e(title)}</h3>" + _table(("Event", "When", "Members"), rows)


def _errors(told: Schema) -> str:
    pieces = [
        '<h2 id="errors">Errors</h2>',
        "<p>An error names what was wrong (<code>message</code>), its kind (<code>type</code>, "
        "<code>code</code>) and, "
        "where one is at fault, the parameter (<code>param</code>). Some codes are more special than "
        "those below, such as "
        "<code>response_not_found</code>.</p>",
    ]
    for dialect in ("Freddy", "OpenAI"):
        rows = []
        for name, answer in _part(told, "responses").items():
            if not name.startswith(dialect):
                continue
            content = answer["content"]["application/json"]
            for example in content["examples"].values():
                error = example["value"]["error"]
                kind = (f"<code>{_e(error['type'])}</code>", f"<code>{_e(error['code'])}</code>")
                row = (_e(name.removeprefix(dialect)), *kind, _inline(answer["description"]))
                if row not in rows:
                    rows.append(row)
        pieces.append(f"<h3>{dialect} dialect</h3>" + _table(("Status", "Type", "Code", ""), rows))
    return "".join(pieces)


def _schema(name: str, schema: Schema) -> str:
    heading = f'<h3 id="{_e(name)}">{_e(name)}</h3>'
    if "description" in schema:
        heading += f"<p>{_inline(schema['description'])}</p>"
    if not schema.get("properties"):
        return f"{heading}<p>{_type(schema)}</p>"
    return heading + _table(("Member", "Type", ""), _members(schema))


def _members(schema: Schema) -> Iterable[tuple[str, ...]]:
    needed = schema.get("required", ())
    for name, member in schema["properties"].items():
        yield (
            f"<code>{_e(name)}</code>{_needed(needed=name in needed)}",
            _type(member) + _limits(member),
            _inline(member.get("description", "")) + _inner(member),
        )


def _inner(schema: Schema) -> str:
    """The members of an object that has no name of its own."""
    if not schema.get("properties"):
        return ""
    lines = (
        f"<li><code>{_e(name)}</code>: {_type(member)} {_inline(member.get('description', ''))}</li>"
        for name, member in schema["properties"].items()
    )
    return f"<ul>{''.join(lines)}</ul>"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        name = _last(schema)
        return f'<a href="#{_e(name)}">{_e(name)}</a>'
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return ", ".join(map(_literal, schema["enum"]))
    for key, joint in (("anyOf", " or "), ("allOf", " and ")):
        if key in schema:
            return joint.join(map(_type, schema[key]))
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    return _e(" or ".join(kind) if isinstance(kind, list) else kind)


def _limits(schema: Schema) -> str:
    said = []
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        said.append(f"{low} to {high}" if high is not None else f"at least {low}")
    if "maxLength" in schema:
        said.append(f"at most {schema['maxLength']} characters")
    if "default" in schema:
        said.append(f"default {_literal(schema['default'])}")
    return f'<div class="soft">{"; ".join(said)}</div>' if said else ""


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """`rows` are HTML."""
    head = "".join(f'<th scope="col">{_e(each)}</th>' for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _named(name: str, thing: Schema) -> tuple[str, str]:
    return f"<code>{_e(thing.get('name', name))}</code>", _inline(thing["description"])


def _operations(told: Schema) -> Iterable[tuple[str, str, Schema]]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _part(told: Schema, name: str) -> Mapping[str, Schema]:
    part: Mapping[str, Schema] = told["components"][name]
    return part


def _method(method: str) -> str:
    return f'<span class="method {_e(method)}">{_e(method.upper())}</span>'


def _needed(*, needed: bool) -> str:
    return ' <span class="needed">required</span>' if needed else ""


def _literal(value: object) -> str:
    return f"<code>{_e(value if isinstance(value, str) else json.dumps(value))}</code>"


def _last(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _inline(text: str) -> str:
    """Text with code in backticks, as HTML."""
    return _CODE.sub(r"<code>\1</code>", _e(text))


def _e(text: Any) -> str:  # noqa: ANN401 (it is written as it stands)
    return escape(str(text))
