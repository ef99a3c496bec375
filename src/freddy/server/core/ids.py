"""Owns the prefixes of ids and how an id is written."""

from collections.abc import Callable
from typing import Final, TypeAlias

RESPONSE: Final = "resp"
MESSAGE: Final = "msg"
REASONING: Final = "rs"
FUNCTION_CALL: Final = "fc"
FUNCTION_OUTPUT: Final = "fco"
CUSTOM_CALL: Final = "ctc"
CALL: Final = "call"
MCP_CALL: Final = "mcp"
MCP_TOOLS: Final = "mcpl"
APPROVAL_REQUEST: Final = "mcpr"
WORKER: Final = "worker"
APPROVAL_ANSWER: Final = "mcpa"
FILE_SEARCH: Final = "fs"
VECTOR_STORE: Final = "vs"
FILE_BATCH: Final = "vsfb"
MCP_CONFIGURATION: Final = "mcp_config"
FUNCTION: Final = "func"
WEBHOOK: Final = "wh"
EVENT: Final = "evt"
COMPACTION: Final = "cmp"
OTHER_ITEM: Final = "item"
THREAD: Final = "thrd"
KEY: Final = "key"
FILE: Final = "file"
ASSISTANT: Final = "asst"
RULE: Final = "rule"
ATTACHMENT: Final = "ratt"
PROMPT: Final = "prompt"
ORGANIZATION: Final = "org"
USER: Final = "usr"
SESSION: Final = "sess"
INVITATION: Final = "inv"
AUDIT: Final = "audit"
ENTRY: Final = "entry"
REQUEST: Final = "req"
SPENDING: Final = "spent"
STEER: Final = "steer"

NewId: TypeAlias = Callable[[str], str]
"""Gives a fresh id for a prefix: `new_id("resp")` is `resp_` and 28 lower-case hexadecimal digits."""

LONGEST: Final = 128
"""Characters an id may have that a caller chose."""


def write(prefix: str, milliseconds: int, randomness: bytes) -> str:
    """An id that sorts by its time of birth: 12 digits of Unix milliseconds, then 8 random bytes."""
    return f"{prefix}_{milliseconds:012x}{randomness.hex()}"
