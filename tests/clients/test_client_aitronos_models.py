"""The platform's own client lists the models."""

import asyncio

import pytest
from aitronos.core.api_error import ApiError
from aitronos_client import platform as opened

from freddy.server.config import Served
from freddy.server.config.settings import Candidate, Price

DEAR = Served(
    name="dear",
    candidates=(Candidate(upstream="stage", model="stage-dear"),),
    description="Thinks for long.",
    context_tokens=200_000,
    output_tokens=32_000,
    price=Price(input=3, output=15, cached=0.3),
)
PRICED = {"model_version", "name", "capabilities", "pricing"}


@pytest.fixture
async def stage(tmp_path):
    async with opened(tmp_path, models=(DEAR,)) as stage:
        yield stage


def named(listed, key):
    """The model that callers ask for by this name; there is one."""
    [found] = [one for one in listed.models if one.key == key]
    return found


async def test_models_are_listed_with_all_that_is_known(stage):
    listed = await stage.client.models.list_models(
        ui_models_only=True,
        include_pricing=True,
        include_details=True,
        include_capabilities=True,
        include_deprecated=True,
        include_legacy=True,
        include_recent_usage=True,
    )
    assert listed.total_count == len(listed.models) > 1
    dear = named(listed, "dear")
    told = dear.model_dump(exclude=PRICED, exclude_none=True)
    assert told == {
        "id": "mdl_dear",
        "key": "dear",
        "description": "Thinks for long.",
        "provider": "stage",
        "is_visible_in_ui": True,
        "is_deprecated": False,
        "availability_status": "ready",
        "context_window": 200_000,
        "max_output_tokens": 32_000,
    }
    assert (dear.name, dear.model_version, dear.release_date) == ("stage-dear", "stage-dear", None)
    assert {"text_generation", "conversation", "streaming", "tool_calling"} <= set(dear.capabilities)
    assert dear.pricing.model_dump() == {
        "message": "US dollars for a million tokens",
        "currency": "USD",
        "per_tokens": 1_000_000,
        "input": 3,
        "output": 15,
        "cached_input": 0.3,
        "cache_write": None,
        "long_context": None,
    }


async def test_nobody_is_told_what_was_not_asked_for(stage):
    dear = named(await stage.client.models.list_models(), "dear")
    assert dear.capabilities is not None
    assert (dear.pricing, dear.model_version) == (None, None)
    dear = named(await stage.client.models.list_models(include_capabilities=False), "dear")
    assert dear.capabilities is None


async def test_a_model_of_the_list_is_one_that_answers(stage):
    listed = await stage.client.models.list_models()
    asked = named(listed, "dear").key
    answer = await stage.client.responses.create_response(inputs=[{"role": "user", "content": "Hi"}], model=asked)
    assert answer["status"] == "completed"
    assert stage.vendor.last.body["model"] == "stage-dear"


async def test_a_stranger_is_told_no_models(stage):
    async with stage.another("sk-frdy-somebody-else") as stranger:
        with pytest.raises(ApiError) as refused:
            await stranger.models.list_models()
    assert refused.value.status_code == 401
    assert refused.value.body["error"]["type"] == "authentication_error"


async def test_the_synchronous_client_lists_the_same(stage):
    def work():
        with stage.sync() as client:
            return client.models.list_models(include_pricing=True)

    assert await asyncio.to_thread(work) == await stage.client.models.list_models(include_pricing=True)
