"""The list of models: OpenAI's shape and the platform's own, in one object."""

from collections.abc import Iterable

import msgspec

from freddy.server.core.profile import Availability, Profile


class Listed(msgspec.Struct, frozen=True):
    """`id` is the name callers ask for; `answers` the model that it leads to."""

    id: str
    answers: str
    profile: Profile
    availability: Availability


def encode_models(models: Iterable[Listed]) -> bytes:
    listed = list(models)
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [_openai(one) for one in listed],
            "models": [_platform(one) for one in listed],
            "total_count": len(listed),
        }
    )


def encode_model(model: Listed) -> bytes:
    return msgspec.json.encode(_platform(model) | _openai(model))


def _openai(model: Listed) -> dict[str, object]:
    return {
        "id": model.id,
        "object": "model",
        "created": model.profile.created,
        "owned_by": model.profile.provider,
    }


def _platform(model: Listed) -> dict[str, object]:
    profile = model.profile
    return {
        "id": model.id,
        "key": model.id,
        "name": model.answers,
        "provider": profile.provider,
        "description": profile.description,
        "is_visible_in_ui": True,
        "is_deprecated": False,
        "availability_status": model.availability,
        "capabilities": _capabilities(profile),
        "context_window": profile.context_tokens,
        "max_output_tokens": profile.output_tokens,
        "pricing": None,
    }


def _capabilities(profile: Profile) -> list[str]:
    able = {
        "tool_calling": profile.tools,
        "vision": profile.images,
        "audio": profile.audio,
        "files": profile.files,
        "reasoning": profile.reasoning,
        "structured_output": profile.schemas,
    }
    return ["text_generation", "conversation", "streaming", *(name for name, can in able.items() if can)]
