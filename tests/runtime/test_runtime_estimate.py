"""How long a text is, in tokens, without a tokenizer."""

import pytest

from freddy.server.core import items
from freddy.server.core.turn import Turn
from freddy.server.runtime import estimate


@pytest.mark.parametrize(
    "text", ["", "a", "1", "1 2 3 4 5", "Light leaves.", "漢字かな", "éüß", "☃" * 50, "7 " * 20_000]
)
def test_no_estimate_is_above_its_bound(text: str) -> None:
    said = (items.Message("msg_1", "user", (items.Text(text), items.Image(url="https://a.test/b.png"))),)
    turn = Turn("", said, instructions=text[:17] or None)
    assert estimate.input_tokens(turn) <= estimate.at_most(turn)
