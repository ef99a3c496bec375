"""Models, costs, logs and estimates at the door."""

from datetime import datetime

import openai
import pytest
from gateway import UPSTREAM_KEY
from pydantic import BaseModel

from freddy.server.config import Served
from freddy.server.config import Upstream as UpstreamSettings
from freddy.server.config.settings import Candidate, Price
from freddy.server.core.profile import Profile
from promises import promise
from upstream import Answer, Break, Fault, Gate, text

GROQ = "openai/gpt-oss-120b"


class PlatformModel(BaseModel):
    """A model as the platform's published clients read it."""

    id: str
    key: str
    name: str
    description: str | None
    provider: str | None
    is_visible_in_ui: bool
    is_deprecated: bool
    availability_status: str
    capabilities: list[str] | None
    context_window: int | None
    pricing: dict | None
    release_date: datetime | None = None
    model_version: str | None = None


def vendor(upstream, **changes) -> UpstreamSettings:
    told = {"name": "stage", "vendor": "groq", "url": upstream.url, "key": UPSTREAM_KEY, "default_model": GROQ}
    return UpstreamSettings(**{**told, "models": (GROQ, "deepseek-r1-distill-llama-70b"), **changes})


async def listed(gateway, query: str = "") -> dict[str, PlatformModel]:
    told = (await gateway.get(f"/v1/models{query}")).json()
    assert told["object"] == "list"
    assert told["total_count"] == len(told["models"])
    models = [PlatformModel.model_validate(one, strict=False) for one in told["models"]]
    assert all(one.id == f"mdl_{one.key}" for one in models)
    return {one.key: one for one in models}


# The list


@promise(10)
async def test_the_list_has_what_is_known_of_a_vendors_models(opened, upstream, directory):
    gateway = await opened(upstreams=(vendor(upstream),))
    known = directory.profile("groq", GROQ, base=Profile("", ""))
    one = (await listed(gateway))[GROQ]
    assert (one.provider, one.availability_status, one.is_deprecated) == ("stage", "ready", False)
    assert (one.context_window, one.pricing, one.release_date) == (known.context_tokens, None, None)
    assert {"text_generation", "conversation", "streaming", "tool_calling", "reasoning"} <= set(one.capabilities)
    assert "vision" not in one.capabilities


async def test_prices_and_details_are_told_when_asked_for(opened, upstream, directory):
    gateway = await opened(upstreams=(vendor(upstream),))
    known = directory.profile("groq", GROQ, base=Profile("", ""))
    one = (await listed(gateway, "?include_pricing=true&include_details=true&include_capabilities=false"))[GROQ]
    assert one.pricing is not None
    assert (one.pricing["input"], one.pricing["output"]) == (known.price.input, known.price.output)
    assert (one.pricing["currency"], one.pricing["per_tokens"]) == ("USD", 1_000_000)
    assert int(one.release_date.timestamp()) == known.created
    assert (one.capabilities, one.model_version) == (None, GROQ)


async def test_a_price_that_is_not_known_is_null(gateway):
    one = (await listed(gateway, "?include_pricing=true"))["stage"]
    assert (one.pricing, one.context_window) == (None, None)


async def test_deprecated_models_are_told_when_asked_for_and_never_hidden_from_openai_clients(opened, upstream):
    gateway = await opened(upstreams=(vendor(upstream),))
    old = "deepseek-r1-distill-llama-70b"
    assert old not in await listed(gateway)
    assert (await listed(gateway, "?include_deprecated=true"))[old].is_deprecated
    assert old not in await listed(gateway, "?include_deprecated=true&ui_models_only=true")
    assert old in [model.id async for model in await gateway.openai().models.list()]


@pytest.mark.parametrize(
    "name", ["ui_models_only", "include_pricing", "include_details", "include_capabilities", "include_deprecated"]
)
async def test_a_query_that_is_neither_true_nor_false_is_refused(gateway, name):
    reply = await gateway.get(f"/v1/models?{name}=perhaps")
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, name)


async def test_the_models_of_an_upstream_that_serves_any_are_listed(opened, upstream):
    gateway = await opened(upstreams=(vendor(upstream, vendor=None, models=("*",), default_model=None),))
    assert set(await listed(gateway)) == {"stage"}


async def test_the_list_does_not_wait_for_or_fail_with_an_upstream_that_is_gone(opened, upstream, unused_port):
    url = f"http://127.0.0.1:{unused_port}"
    gone = vendor(upstream, name="gone", vendor=None, url=url, models=("*",), default_model=None)
    gateway = await opened(upstreams=(gone, vendor(upstream)))
    assert GROQ in await listed(gateway)


# One model


@promise(10)
@pytest.mark.parametrize("called", [GROQ, f"mdl_{GROQ}"])
async def test_one_model_has_both_shapes_and_all_that_is_known(opened, upstream, called):
    gateway = await opened(upstreams=(vendor(upstream),))
    told = (await gateway.get(f"/v1/models/{called}")).json()
    assert (told["id"], told["key"], told["object"], told["owned_by"]) == (GROQ, GROQ, "model", "stage")
    assert PlatformModel.model_validate(told).pricing["input"] > 0
    assert told["created"] > 0
    assert told["release_date"].endswith("Z")


@promise(10)
async def test_the_openai_client_and_ours_find_a_model_whose_name_has_slashes(opened, upstream):
    gateway = await opened(upstreams=(vendor(upstream),))
    assert (await gateway.openai().models.retrieve(GROQ)).id == GROQ
    ours = gateway.freddy()
    one = await ours.models.get(GROQ)
    assert (one.id, one.pricing.currency, one.pricing.long_context) == (GROQ, "USD", None)
    models = await ours.models.list(include_pricing=True, include_capabilities=False, include_deprecated=True)
    assert {model.key for model in models.models} == {model.id for model in models}
    assert [model.capabilities for model in models.models] == [None] * len(models.models)
    assert next(model for model in models.models if model.key == GROQ).pricing.input == one.pricing.input


@pytest.mark.parametrize("called", ["nobody", "acme/nobody", "mdl_nobody"])
async def test_a_model_that_is_not_there_is_not_found(gateway, called):
    reply = await gateway.get(f"/v1/models/{called}")
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        await gateway.openai().models.retrieve(called)


# What can be chosen


async def test_output_modes_are_told_with_their_default(gateway):
    told = (await gateway.get("/v1/model/response/output-modes")).json()
    assert told["success"] is True
    assert [one["mode"] for one in told["output_modes"]] == ["text", "json", "json_schema"]
    assert [one["mode"] for one in told["output_modes"] if one["is_default"]] == ["text"]
    assert all(one["description"] for one in told["output_modes"])


async def test_reasoning_levels_are_told_with_their_default(gateway):
    told = (await gateway.get("/v1/model/response/reasoning-levels")).json()
    assert told["success"] is True
    assert [one["level"] for one in told["reasoning_levels"]] == ["off", "low", "medium", "high", "maximum"]
    assert [one["level"] for one in told["reasoning_levels"] if one["is_default"]] == ["medium"]


@pytest.mark.parametrize(
    "path",
    ["/v1/models", "/v1/models/stage", "/v1/model/response/output-modes", "/v1/model/response/reasoning-levels"],
)
async def test_a_key_must_be_allowed_to_see_models(gateway, path):
    may = await gateway.mint("org_a", scopes=("models:read",))
    may_not = await gateway.mint("org_a", scopes=("responses:read",))
    assert (await gateway.get(path, key=may.secret)).status_code == 200
    assert (await gateway.get(path, key=may_not.secret)).status_code == 403


# What a response costs


@promise(285)
async def test_a_response_says_what_it_cost_by_the_vendors_price(opened, upstream, directory):
    gateway = await opened(upstreams=(vendor(upstream),))
    price = directory.profile("groq", GROQ, base=Profile("", "")).price
    upstream.says(Answer(text("Hello."), usage=(1000, 500)))
    told = await gateway.ask("freddy", model=GROQ, include=["usage.detailed"])
    dollars = (1000 * price.input + 500 * price.output) / 1_000_000
    assert told["usage"]["cost"] == {"total": pytest.approx(dollars), "currency": "USD"}
    again = (await gateway.get(f"/v1/model/response/{told['id']}")).json()
    assert again["usage"] == told["usage"]


async def test_the_operators_price_goes_before_any_other(opened, upstream):
    served = Served(
        name="smart", candidates=(Candidate(upstream="stage", model=GROQ),), price=Price(input=1000, output=2000)
    )
    gateway = await opened(upstreams=(vendor(upstream),), models=(served,))
    upstream.says(Answer(text("Hello."), usage=(1000, 500)))
    told = await gateway.ask("freddy", model="smart", include=["usage.detailed"])
    assert told["usage"]["cost"] == {"total": pytest.approx(2.0), "currency": "USD"}


async def test_without_a_price_the_cost_is_not_known(gateway):
    assert (await gateway.ask("freddy", include=["usage.detailed"]))["usage"]["cost"] is None


async def test_the_openai_dialect_tells_no_cost(opened, upstream):
    gateway = await opened(upstreams=(vendor(upstream),))
    told = await gateway.ask("openai", model=GROQ)
    assert set(told["usage"]) == {
        "input_tokens",
        "input_tokens_details",
        "output_tokens",
        "output_tokens_details",
        "total_tokens",
    }
    assert "request_logs" not in told


# Logs and estimates


@promise(86)
async def test_the_logs_tell_who_was_asked(opened, upstream):
    gateway = await opened()
    upstream.says(Fault(503, retry_after="0"), Answer(text("Hello.")))
    told = await gateway.ask("freddy", model="stage", include=["request.logs"])
    tries = [one for one in told["request_logs"] if one["type"] == "attempt"]
    assert [(one["provider"], one["model"], one["status"], one["code"] is None) for one in tries] == [
        ("stage", "stage", 503, False),
        ("stage", "stage", None, True),
    ]
    assert all(one["seconds"] >= 0 for one in tries)


async def test_the_end_of_a_stream_has_the_logs_too(gateway):
    told = await gateway.told("freddy", model="stage", include=["request.logs", "usage.detailed"])
    (one,) = told.last["response"]["request_logs"]
    assert (one["type"], one["provider"], one["code"]) == ("attempt", "stage", None)
    assert told.last["response"]["usage"]["estimated"] is False


@pytest.mark.parametrize("end", ["whole", "broken"])
async def test_tokens_that_nobody_counted_are_estimated(gateway, upstream, end):
    lines = [text("Hello, everybody.")] if end == "whole" else [text("Hello, every"), Break("cut")]
    upstream.says(Answer(*lines, usage=None))
    told = await gateway.told("freddy", include=["usage.detailed"])
    usage = told.last["response"]["usage"]
    assert usage["estimated"] is True
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0


async def test_a_cancelled_response_has_an_estimate(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(text("Hello, every"), gate, text("body.")))
    async with gateway.listening(
        "/v1/model/response", {"inputs": "Hi", "stream": True, "include": ["usage.detailed"]}
    ) as listening:
        begun = await listening.next("response.created")
        await listening.next("response.output_text.delta")
        await gateway.post(f"/v1/model/response/{begun['id']}/cancel")
        last = await listening.next("response.cancelled")
    assert last["response"]["usage"]["estimated"] is True
    assert last["response"]["usage"]["output_tokens"] > 0
