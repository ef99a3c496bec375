"""Owns what a header may be that callers give the server for others: its name, its value, and which are not theirs.

https://www.rfc-editor.org/rfc/rfc9110#name-field-names
"""

import re
from typing import Final

MOST_HEADERS: Final = 32
LONGEST_HEADER: Final = 64
"""Characters of a name."""
LONGEST_SECRET: Final = 4096
"""Characters of a value."""
OF_CONNECTION: Final = frozenset(
    (
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
"""In small letters. They belong to the connection and to what is sent over it."""

_NAME: Final = re.compile(rf"[A-Za-z0-9!#$%&'*+.^_`|~-]{{1,{LONGEST_HEADER}}}")
_VALUE: Final = re.compile(rf"(?!.{{{LONGEST_SECRET + 1}}})[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")


def is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def is_value(value: str) -> bool:
    return _VALUE.fullmatch(value) is not None
