"""A turn as the body of a chat completion, and what of the turn has no effect with the model. Pure.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Mapping

import msgspec

from freddy.server.core import items
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers.compatible import catalog, conversation
from freddy.server.providers.compatible.options import asks_nothing, names, options
from freddy.server.providers.compatible.row import Facts, Row


def body(turn: Turn, profile: Profile, row: Row = catalog.COMPATIBLE) -> bytes:
    """Raises `errors.InvalidRequest` where the model cannot read a part of the input."""
    facts = row.of(turn.model)
    told = options(turn, profile, facts)
    messages = conversation.messages(turn, profile, facts, words=told.words)
    return msgspec.json.encode({"model": turn.model, "messages": messages} | told.fields)


def warnings(turn: Turn, profile: Profile, row: Row = catalog.COMPATIBLE) -> tuple[str, ...]:
    """What of the turn the model does not do as it is asked, a sentence each."""
    facts = row.of(turn.model)
    lost = () if asks_nothing(turn) else options(turn, profile, facts).lost
    if _details(turn) - {"auto", *facts.image_details, "original" if "high" in facts.image_details else ""}:
        return (*lost, f"the detail of images has no effect with the model {turn.model}")
    return lost


def own_names(turn: Turn, facts: Facts) -> Mapping[str, str]:
    """What the functions are called here, by what the vendor calls those whose names it does not take."""
    return {called: name for name, called in names(turn, facts).items()}


def _details(turn: Turn) -> set[str]:
    spoken = (item.parts for item in turn.items if isinstance(item, items.Message | items.FunctionOutput))
    return {part.detail for parts in spoken for part in parts if isinstance(part, items.Image)}
