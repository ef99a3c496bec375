"""Owns what a caller can choose from for any model: the forms of an answer, and the levels of thinking."""

from typing import Final

import msgspec
from msgspec import Struct


class OutputMode(Struct):
    mode: str
    description: str
    is_default: bool = False


class OutputModes(Struct):
    success: bool
    output_modes: tuple[OutputMode, ...]


class ReasoningLevel(Struct):
    level: str
    description: str
    is_default: bool = False


class ReasoningLevels(Struct):
    success: bool
    reasoning_levels: tuple[ReasoningLevel, ...]


OUTPUT_MODES: Final = msgspec.json.encode(
    OutputModes(
        True,  # noqa: FBT003 a field of the answer
        (
            OutputMode("text", "Plain text", is_default=True),
            OutputMode("json", "A JSON object of the model's own form"),
            OutputMode("json_schema", "JSON that fits a schema given as json_schema"),
        ),
    )
)
REASONING_LEVELS: Final = msgspec.json.encode(
    ReasoningLevels(
        True,  # noqa: FBT003 a field of the answer
        (
            ReasoningLevel("off", "No thinking before the answer"),
            ReasoningLevel("low", "Little thinking: simple questions, fast answers"),
            ReasoningLevel("medium", "Some thinking: balanced", is_default=True),
            ReasoningLevel("high", "Much thinking: hard questions"),
            ReasoningLevel("maximum", "As much thinking as the model allows"),
        ),
    )
)
