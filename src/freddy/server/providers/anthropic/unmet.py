"""What of a turn Anthropic does not do as it is asked, in sentences. Pure."""

from collections.abc import Iterator

from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers.anthropic import request


def unmet(turn: Turn, profile: Profile) -> Iterator[str]:
    """What only Anthropic does not have at all, a summary of what was thought, is no matter: the thinking is shown."""
    planned = request.plan(turn, profile)
    yield from _absent(turn, profile)
    yield from _sampling(turn, profile, planned)
    yield from _thinking(turn, planned)
    yield from _tools(turn, profile)


def _absent(turn: Turn, profile: Profile) -> Iterator[str]:
    asked = turn.sampling
    for name, given in (
        ("presence_penalty", asked.presence_penalty),
        ("frequency_penalty", asked.frequency_penalty),
        ("logprobs", asked.logprobs),
        ("seed", asked.seed is not None),
        ("verbosity", asked.verbosity not in (None, "medium")),
    ):
        if given:
            yield f"{name} was left out: {profile.provider} does not have it"
    if not all(text.strip() for text in asked.stop):
        yield f"stop was left out where it is white space: {profile.provider} does not take it"


def _sampling(turn: Turn, profile: Profile, planned: request.Plan) -> Iterator[str]:
    asked, model = turn.sampling, turn.model
    sent = request.sampling(asked, profile, planned)
    why = f"{model} does not take it" if not planned.family.sampled else f"{model} does not take it as it thinks"
    if asked.temperature not in (None, 1.0):
        lowered = sent.get("temperature")
        if lowered is None:
            yield f"temperature was left out: {why}"
        elif lowered != asked.temperature:
            yield f"temperature was lowered to {lowered:g}, the highest of {model}"
    if asked.top_p not in (None, 1.0) and "top_p" not in sent:
        beside = planned.family.sampled and not planned.thinks
        yield f"top_p was left out: {f'{model} does not take it beside temperature' if beside else why}"


def _thinking(turn: Turn, planned: request.Plan) -> Iterator[str]:
    effort, family, model = turn.reasoning.effort, planned.family, turn.model
    if effort == "off":
        if family.quiet == "never":
            yield f"reasoning cannot be off: {model} thinks with the least effort"
    elif effort is not None and not family.thinks:
        yield f"the effort of reasoning was left out: {model} does not think"
    elif effort is not None and not planned.budget:
        yield f"the effort of reasoning was left out: {planned.limit} tokens of output leave no room for it"
    if planned.thinks and turn.tools and request.forces(turn.tool_choice):
        yield f"the model may answer without a call: {model} cannot be made to call a function as it thinks"


def _tools(turn: Turn, profile: Profile) -> Iterator[str]:
    for tool in turn.tools:
        if tool.constrained:
            yield f"the format of the tool {tool.name} was left out: {profile.provider} does not have it"
