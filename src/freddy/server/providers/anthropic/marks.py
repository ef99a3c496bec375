"""Marks what Anthropic must see again of a thought, so that only that is sent back to it. Pure."""

import hashlib
from typing import Final

from freddy.server.core import items

_SIGNED: Final = "anthropic"
_REDACTED: Final = "anthropic-redacted"


def signed(thinking: str, signature: str) -> str:
    return f"{_SIGNED}.{_digest(thinking)}.{signature}"


def redacted(data: str) -> str:
    return f"{_REDACTED}.{data}"


def block(thought: items.Reasoning) -> dict[str, object] | None:
    """The block that the vendor once sent; None for what is not its own, or is no more as it was.

    A changed block would be refused: https://platform.claude.com/docs/en/build-with-claude/extended-thinking
    """
    mark, _, rest = (thought.encrypted or "").partition(".")
    if mark == _REDACTED and rest:
        return {"type": "redacted_thinking", "data": rest}
    digest, _, signature = rest.partition(".")
    thinking = "".join(thought.texts)
    if mark != _SIGNED or not signature or digest != _digest(thinking):
        return None
    return {"type": "thinking", "thinking": thinking, "signature": signature}


def _digest(thinking: str) -> str:
    return hashlib.blake2s(thinking.encode(), digest_size=8).hexdigest()
