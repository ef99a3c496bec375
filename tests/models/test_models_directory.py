"""Facts about models: which are found for a name, and which are left to the upstream's own row."""

import gzip

import pytest
from msgspec import convert
from msgspec.structs import replace

from freddy.server.core.pricing import Price
from freddy.server.core.profile import Profile
from freddy.server.providers._directory import Directory, Known

ABLE = Profile("", "stage", images=True, audio=True, files=True, reasoning=True, schemas=True)
"""A row whose vendor can do everything."""
APRIL = 1_744_588_800
"""2025-04-14 in Unix seconds."""


def known(**facts) -> Known:
    """A model that reads text and images, as the data would have it."""
    told = {
        "limit": {"context": 128_000, "output": 16_384},
        "modalities": {"input": ["text", "image"]},
        "cost": {"input": 2.5, "output": 10},
        "release_date": "2025-04-14",
    }
    return convert({**told, **facts}, Known)


def of(**models: Known) -> Directory:
    return Directory({"acme": {name.replace("_", "-"): model for name, model in models.items()}})


# What is found by a name


@pytest.mark.parametrize(
    "called",
    [
        "smart-1",
        "Smart-1",
        "models/smart-1",
        "acme/smart-1",
        "smart-1-latest",
        "smart-1-2025-04-14",
        "smart-1-20250414",
    ],
)
def test_a_model_is_found_by_its_name_a_prefix_and_its_date(called):
    profile = of(smart_1=known()).profile("acme", called, base=ABLE)
    assert profile == Profile(
        name=called,
        provider="stage",
        context_tokens=128_000,
        output_tokens=16_384,
        images=True,
        audio=False,
        files=True,
        reasoning=True,
        schemas=True,
        price=Price(2.5, 10),
        created=APRIL,
    )


def test_a_name_without_a_date_is_the_newest_release_of_it():
    older, newer = known(limit={"context": 1000}), known(limit={"context": 2000})
    directory = of(smart_20240101=older, smart_20250101=newer)
    assert directory.profile("acme", "smart", base=ABLE).context_tokens == 2000
    assert directory.profile("acme", "smart-20240101", base=ABLE).context_tokens == 1000
    assert directory.profile("acme", "smart-20260101", base=ABLE).context_tokens == 2000


def test_a_name_of_its_own_goes_before_one_that_is_made_of_a_date():
    directory = of(smart=known(limit={"context": 1000}), smart_20250101=known(limit={"context": 2000}))
    assert directory.profile("acme", "smart", base=ABLE).context_tokens == 1000


@pytest.mark.parametrize(
    "called", ["smart-1-preview", "smart-1-preview-05-06", "smart-1-001", "smart-1:fast", "ft:smart-1:me::x"]
)
def test_a_variant_does_what_its_model_does_but_its_size_and_price_are_not_known(called):
    profile = of(smart_1=known(tool_call=False)).profile("acme", called, base=ABLE)
    assert (profile.tools, profile.images, profile.audio) == (False, True, False)
    assert (profile.context_tokens, profile.output_tokens, profile.price, profile.created) == (None, None, None, 0)


@pytest.mark.parametrize("called", ["smart", "smart-1.5", "smart-1-5", "smart-1-mini", "smart-12", "other", "", "/"])
def test_another_model_is_not_taken_for_one_that_is_known(called):
    assert of(smart_1=known()).profile("acme", called, base=ABLE) == replace(ABLE, name=called)


# What is known


@pytest.mark.parametrize(
    ("facts", "changed"),
    [
        ({"tool_call": False}, {"tools": False}),
        ({"reasoning": False}, {"reasoning": False}),
        ({"temperature": False}, {"sampling": False}),
        ({"temperature": True}, {}),
        ({"structured_output": True}, {"schemas": True}),
        ({"structured_output": False}, {"schemas": False}),
        ({"status": "deprecated"}, {"deprecated": True}),
        ({"status": "beta"}, {}),
        ({"modalities": {"input": ["text", "audio"]}}, {"images": False, "audio": True, "files": False}),
        ({"modalities": {"input": ["text", "pdf"]}}, {"images": False}),
        ({"limit": {"context": 0, "output": 0}}, {"context_tokens": None, "output_tokens": None}),
        ({"release_date": "2025-04"}, {"created": APRIL - 13 * 86_400}),
        ({"release_date": "soon"}, {"created": 0}),
    ],
)
def test_each_fact_is_taken_over(facts, changed):
    plain = of(smart=known()).profile("acme", "smart", base=ABLE)
    assert of(smart=known(**facts)).profile("acme", "smart", base=ABLE) == replace(plain, **changed)


def test_no_model_is_said_to_do_more_than_its_upstream_can_carry():
    base = Profile("", "stage", tools=False, sampling=False)
    everything = known(modalities={"input": ["text", "image", "audio", "pdf"]}, structured_output=True)
    profile = of(smart=everything).profile("acme", "smart", base=base)
    able = (profile.tools, profile.images, profile.audio, profile.files, profile.reasoning, profile.sampling)
    assert (*able, profile.schemas) == (False,) * 7


def test_schemas_are_guaranteed_where_the_vendor_says_so_of_the_model():
    directory = of(told=known(structured_output=True), untold=known())
    assert directory.profile("acme", "told", base=ABLE).schemas
    assert not directory.profile("acme", "untold", base=ABLE).schemas
    assert of(untold=known()).profile("acme", "untold", base=ABLE).schemas


def test_of_a_vendor_that_is_silent_about_schemas_resellers_are_asked():
    resold = {"acme/smart-4.5": known(structured_output=True), "acme/smart-4": known(structured_output=False)}
    own = {"smart-4-5-20250929": known(), "smart-4-20250514": known(), "smart-3": known()}
    directory = Directory({"acme": own, "openrouter": resold})
    can = {name: directory.profile("acme", name, base=ABLE).schemas for name in own}
    assert can == {"smart-4-5-20250929": True, "smart-4-20250514": False, "smart-3": False}


def test_what_the_row_knows_stays_where_the_data_says_nothing():
    base = replace(ABLE, context_tokens=7, output_tokens=5, price=Price(1, 2), created=3, deprecated=True)
    silent = known(limit={}, cost=None, release_date="")
    profile = of(smart=silent).profile("acme", "smart", base=base)
    told = (profile.context_tokens, profile.output_tokens, profile.price, profile.created, profile.deprecated)
    assert told == (7, 5, Price(1, 2), 3, True)


# Prices


def test_a_price_has_what_was_read_before_and_what_is_kept():
    cost = {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75}
    assert of(smart=known(cost=cost)).profile("acme", "smart", base=ABLE).price == Price(3, 15, 0.3, 3.75)


def test_a_long_input_has_a_price_of_its_own_in_steps():
    tiers = [
        {"input": 4, "output": 8, "tier": {"type": "context", "size": 256_000}},
        {"input": 2, "output": 4, "tier": {"type": "context", "size": 128_000}},
        {"input": 9, "output": 9, "tier": {"type": "something-new", "size": 1}},
    ]
    price = of(smart=known(cost={"input": 1, "output": 2, "tiers": tiers})).profile("acme", "smart", base=ABLE).price
    assert price == Price(1, 2, above=128_000, long=Price(2, 4, above=256_000, long=Price(4, 8)))


def test_there_is_no_price_where_nobody_counts_what_it_is_for():
    """Thinking that costs other than the rest of the output."""
    dearer = known(cost={"input": 1, "output": 2, "reasoning": 8})
    same = known(cost={"input": 1, "output": 2, "reasoning": 2})
    assert of(smart=dearer).profile("acme", "smart", base=ABLE).price is None
    assert of(smart=same).profile("acme", "smart", base=ABLE).price == Price(1, 2)


# Servers of one's own


@pytest.mark.parametrize("vendor", [None, "my-own"])
def test_of_ones_own_server_only_is_known_what_all_say_who_list_the_model(vendor):
    directory = Directory(
        {
            "one": {"maker/open-7b": known(limit={"context": 32_768})},
            "two": {"Open-7B": known(limit={"context": 32_768}, modalities={"input": ["image", "text"]})},
        }
    )
    profile = directory.profile(vendor, "maker/Open-7B", base=ABLE)
    assert profile == replace(ABLE, name="maker/Open-7B", context_tokens=32_768, audio=False)


def test_what_vendors_tell_differently_is_not_known():
    directory = Directory(
        {
            "one": {"open-7b": known(limit={"context": 32_768})},
            "two": {"open-7b": known(limit={"context": 8192}, modalities={"input": ["text"]})},
        }
    )
    assert directory.profile(None, "open-7b", base=ABLE) == replace(ABLE, name="open-7b")


def test_a_model_that_only_other_vendors_list_has_no_price():
    directory = Directory({"one": {"open-7b": known()}, "two": {"else": known()}})
    profile = directory.profile("two", "open-7b", base=ABLE)
    assert (profile.context_tokens, profile.price) == (128_000, None)


# The data as it is installed


@pytest.mark.parametrize(
    ("vendor", "called", "price", "facts"),
    [
        ("openai", "gpt-4o", Price(2.5, 10, 1.25), {"images": True, "reasoning": False, "sampling": True}),
        ("openai", "gpt-4.1", Price(2, 8, 0.5), {"images": True, "reasoning": False, "schemas": True}),
        ("openai", "gpt-4.1-2025-04-14", Price(2, 8, 0.5), {"images": True, "created": APRIL}),
        ("openai", "gpt-5", Price(1.25, 10, 0.125), {"reasoning": True, "sampling": False, "files": True}),
        ("openai", "o3", Price(2, 8, 0.5), {"reasoning": True, "sampling": False, "context_tokens": 200_000}),
        ("anthropic", "claude-sonnet-4", Price(3, 15, 0.3, 3.75), {"reasoning": True, "context_tokens": 200_000}),
        ("anthropic", "claude-sonnet-4-0", Price(3, 15, 0.3, 3.75), {"reasoning": True, "output_tokens": 64_000}),
        ("anthropic", "claude-sonnet-4-20250514", Price(3, 15, 0.3, 3.75), {"reasoning": True, "schemas": False}),
        ("anthropic", "claude-sonnet-4-5", Price(3, 15, 0.3, 3.75), {"reasoning": True, "schemas": True}),
        ("anthropic", "claude-3-5-sonnet-20241022", Price(3, 15, 0.3, 3.75), {"reasoning": False, "images": True}),
        (
            "google",
            "models/gemini-2.5-pro",
            Price(1.25, 10, 0.125, above=200_000, long=Price(2.5, 15, 0.25)),
            {"audio": True, "files": True, "reasoning": True},
        ),
    ],
)
def test_the_documented_models_are_known(directory, vendor, called, price, facts):
    profile = directory.profile(vendor, called, base=ABLE)
    assert profile == replace(profile, price=price, **facts)
    assert profile.context_tokens
    assert profile.output_tokens
    assert profile.tools


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"no gzip",
        gzip.compress(b"no JSON"),
        gzip.compress(b"[]"),
        gzip.compress(b'{"openai": {}}')[:-4],
        gzip.compress(b'{"openai": {"models": 7}}'),
    ],
    ids=["none", "empty", "not-packed", "not-json", "no-vendors", "cut", "no-models"],
)
async def test_nothing_is_known_where_the_data_cannot_be_read(tmp_path, data):
    file = tmp_path / "data.json.gz"
    if data is not None:
        file.write_bytes(data)
    lost = await Directory.load(file)
    assert lost.profile("openai", "gpt-4o", base=ABLE) == replace(ABLE, name="gpt-4o")


async def test_a_vendor_that_cannot_be_read_takes_no_other_with_it(tmp_path):
    file = tmp_path / "data.json.gz"
    data = b'{"odd": {"models": {"x": {"limit": "no"}}}, "acme": {"models": {"smart": {"limit": {"context": 5}}}}}'
    file.write_bytes(gzip.compress(data))
    directory = await Directory.load(file)
    assert directory.profile("acme", "smart", base=ABLE).context_tokens == 5
    assert directory.profile("odd", "x", base=ABLE) == replace(ABLE, name="x")
