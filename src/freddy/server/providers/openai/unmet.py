"""What of a turn OpenAI does not do as it is asked, in sentences. Pure."""

from collections.abc import Iterator

from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers.openai import families, request


def unmet(turn: Turn, profile: Profile) -> Iterator[str]:
    family = families.family(profile, turn.model)
    yield from _sampling(turn, profile, family)
    yield from _reasoning(turn, family)
    if turn.max_output_tokens is not None and turn.max_output_tokens < request.FEWEST_TOKENS:
        yield f"the limit of output was raised to {request.FEWEST_TOKENS}, the least that {profile.provider} takes"


def _sampling(turn: Turn, profile: Profile, family: families.Family) -> Iterator[str]:
    asked, model = turn.sampling, turn.model
    absent = {
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "seed": None if asked.seed is None else True,
        "stop": asked.stop,
    }
    for name, value in absent.items():
        if value:
            yield f"{name} was left out: {profile.provider} does not have it"
    if not request.sampled(turn, family):
        cure = "unless reasoning is off" if family.sampled == "unthinking" else "as it reasons"
        for name, given in (
            ("temperature", asked.temperature not in (None, 1.0)),
            ("top_p", asked.top_p not in (None, 1.0)),
            ("logprobs", asked.logprobs),
        ):
            if given:
                yield f"{name} was left out: {model} does not take it {cure}"
    elif asked.temperature is not None and asked.temperature > profile.max_temperature:
        yield f"temperature was lowered to {profile.max_temperature:g}, the highest of {model}"
    if asked.verbosity not in (None, "medium") and not family.verbose:
        yield f"verbosity was left out: {model} does not take it"


def _reasoning(turn: Turn, family: families.Family) -> Iterator[str]:
    asked, model = turn.reasoning, turn.model
    if not family.levels:
        if asked.effort not in (None, "off"):
            yield f"the effort of reasoning was left out: {model} does not reason"
        if asked.summary is not None:
            yield f"the summary of reasoning was left out: {model} does not reason"
        return
    if asked.effort is not None and asked.effort != "minimal":
        level, wished = families.level(asked.effort, family), families.wished(asked.effort)
        if asked.effort == "off" and level != "none":
            yield f"reasoning cannot be off: {model} reasons with the effort {level} at least"
        elif level != wished:
            yield f"the effort of reasoning is {level}: {model} does not have {wished}"
    if asked.summary == "concise" and not family.brief:
        yield f"the summary of reasoning may be long: {model} does not make concise ones"
