"""The page of the platform's client against the client and the server's paths."""

import ast
import re
from functools import cache
from pathlib import Path

import aitronos

from freddy.server.http.openapi import OPERATIONS

PAGE = (Path(__file__).parents[2] / "docs/aitronos-sdk.md").read_text()
PACKAGE = Path(aitronos.__file__).parent
OURS = {(one.method.upper(), re.sub(r"{\w+}", "{}", one.path)) for one in OPERATIONS}


@cache
def package() -> dict[str, dict[str, tuple[str, str]]]:
    """Of every client its operations, with method and path."""
    return {
        source.parent.name: _operations(ast.parse(source.read_text())) for source in PACKAGE.glob("*/raw_client.py")
    }


def _operations(module: ast.Module) -> dict[str, tuple[str, str]]:
    raw = next(one for one in module.body if isinstance(one, ast.ClassDef))
    methods = [one for one in raw.body if isinstance(one, ast.FunctionDef) and one.name != "__init__"]
    return {method.name: _asked(method) for method in methods}


def _asked(method: ast.FunctionDef) -> tuple[str, str]:
    [(call, verb)] = [
        (call, keyword.value.value)
        for call in ast.walk(method)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "method"
    ]
    path = call.args[0]
    parts = path.values if isinstance(path, ast.JoinedStr) else [path]
    return verb, "/" + "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts)


def table() -> list[tuple[set[str], str, str]]:
    """Of every row its clients, what is served and what is not."""
    rows = re.findall(r"^\| (`.*?) \|(.*?)\|(.*)\|$", PAGE, re.MULTILINE)
    return [(_named(clients), served, others) for clients, served, others in rows]


def _named(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def test_every_client_of_the_package_has_one_row():
    named = sorted(name for clients, _, _ in table() for name in clients)
    assert named == sorted(package())


def test_what_is_told_as_served_is_just_what_has_a_path_here():
    for clients, served, _ in table():
        for client in clients:
            operations = package()[client]
            told = set(operations) if "all operations" in served else _named(served)
            assert told == {name for name, asked in operations.items() if asked in OURS}, client


def test_where_some_are_served_all_others_are_named():
    for clients, served, others in table():
        if served.strip() and "all operations" not in served:
            [client] = clients
            assert _named(others) == set(package()[client]) - _named(served), client


def test_every_path_is_found_in_the_package():
    assert package()["responses"]["create_response"] == ("POST", "/v1/model/response")
    assert package()["files"]["get_file"] == ("GET", "/v1/organizations/{}/files/{}")
    assert len(OURS) > 100
