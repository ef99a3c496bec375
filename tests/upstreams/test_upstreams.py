"""An upstream of the settings becomes a provider: whose ways it has, where it is, what is known of its models."""

import contextlib

import pytest

from freddy.server import upstreams
from freddy.server.config import ConfigError, Upstream
from freddy.server.config import settings as parts
from freddy.server.core import deltas
from freddy.server.core.pricing import Price
from freddy.server.providers._directory import Directory
from freddy.server.providers.anthropic.adapter import AnthropicProvider
from freddy.server.providers.compatible.adapter import CompatibleProvider
from freddy.server.providers.openai.adapter import OpenAIProvider
from freddy.server.wiring import open_house
from freddy_fakes import PATIENCE, ScriptedModel
from freddy_process import serving

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY")


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def opened(tmp_path):
    """Providers of upstreams, with what the public directory knows."""
    directory = await Directory.load()
    async with contextlib.AsyncExitStack() as stack:

        async def open_(upstream, *models):
            told = settings(tmp_path, upstream, models=models)
            return await stack.enter_async_context(upstreams.opened(upstream, told, directory))

        yield open_


def settings(home, *found, **more):
    return parts.Settings(
        home=home,
        store=parts.Store(database=home / "freddy.db"),
        model=parts.Model(name="none", pull=False),
        upstreams=found,
        **more,
    )


@pytest.mark.parametrize(
    ("upstream", "kind", "url"),
    [
        (Upstream(name="a", vendor="openai"), OpenAIProvider, "https://api.openai.com/v1"),
        (Upstream(name="a", vendor="anthropic"), AnthropicProvider, "https://api.anthropic.com/v1"),
        (Upstream(name="a", url="https://api.openai.com/v1"), OpenAIProvider, "https://api.openai.com/v1"),
        (Upstream(name="a", vendor="openai", kind="compatible"), CompatibleProvider, "https://api.openai.com/v1"),
        (Upstream(name="a", vendor="groq"), CompatibleProvider, "https://api.groq.com/openai/v1"),
        (
            Upstream(name="a", url="https://api.groq.com/openai/v1"),
            CompatibleProvider,
            "https://api.groq.com/openai/v1",
        ),
        (Upstream(name="a", url="http://10.0.0.1:8000/v1"), CompatibleProvider, "http://10.0.0.1:8000/v1"),
        (
            Upstream(name="a", vendor="vllm", url="http://10.0.0.1:8000/v1"),
            CompatibleProvider,
            "http://10.0.0.1:8000/v1",
        ),
        (Upstream(name="a", kind="anthropic", url="http://10.0.0.1/v1"), AnthropicProvider, "http://10.0.0.1/v1"),
        (
            Upstream(name="a", kind="openai", vendor="azure", url="https://x.test/v1"),
            OpenAIProvider,
            "https://x.test/v1",
        ),
    ],
)
async def test_a_vendor_says_where_it_is_and_how_it_is_asked(opened, upstream, kind, url):
    assert isinstance(await opened(upstream), kind)
    assert upstreams.address(upstream) == url


@pytest.mark.parametrize(
    ("upstream", "said"),
    [
        (Upstream(name="a", vendor="grok"), "vendor must be one of anthropic, "),
        (Upstream(name="a", vendor="vllm"), "the vendor 'vllm' has no address of its own; give a url"),
        (Upstream(name="a", kind="gemini", url="http://a"), "kind must be one of compatible, openai, anthropic"),
    ],
)
async def test_an_upstream_that_makes_no_sense_stops_the_start(tmp_path, upstream, said):
    (problem,) = upstreams.problems(settings(tmp_path, upstream))
    assert problem.startswith("upstream a: ")
    assert said in problem
    with pytest.raises(ConfigError, match="upstream a"):
        async with open_house(settings(tmp_path, upstream)):
            pass
    assert not (tmp_path / "freddy.db").exists()


async def test_what_is_known_of_a_model_is_completed_by_the_directory(opened):
    anthropic = await opened(Upstream(name="claude", vendor="anthropic"))
    profile = anthropic.model("claude-sonnet-4-20250514").profile
    assert (profile.provider, profile.name) == ("claude", "claude-sonnet-4-20250514")
    assert (profile.images, profile.reasoning, profile.tools, profile.audio) == (True, True, True, False)
    assert profile.context_tokens is not None
    assert profile.context_tokens >= 200_000
    assert profile.price is not None
    assert (profile.price.input, profile.price.output) == (3, 15)


async def test_the_operator_knows_better(opened):
    upstream = Upstream(name="own", vendor="vllm", url="http://10.0.0.1/v1")
    served = parts.Served(
        name="best",
        candidates=(parts.Candidate(upstream="own", model="m"), parts.Candidate(upstream="elsewhere", model="x")),
        context_tokens=4096,
        images=False,
        schemas=False,
        price=parts.Price(input=1, output=2),
    )
    provider = await opened(upstream, served)
    told, other = provider.model("m").profile, provider.model("x").profile
    assert (told.context_tokens, told.images, told.schemas, told.price) == (4096, False, False, Price(1, 2))
    assert (other.images, other.schemas, other.price) == (True, True, None)


async def test_another_name_for_a_model_does_not_take_back_what_the_operator_knows_of_it(opened):
    way = parts.Candidate(upstream="own", model="m")
    first = parts.Served(name="best", candidates=(way,), context_tokens=4096, price=parts.Price(input=1, output=2))
    second = parts.Served(name="standby", candidates=(way,), images=False)
    provider = await opened(Upstream(name="own", vendor="vllm", url="http://10.0.0.1/v1"), first, second)
    told = provider.model("m").profile
    assert (told.context_tokens, told.images, told.price) == (4096, False, Price(1, 2))


@pytest.mark.parametrize(
    ("upstream", "keyed"),
    [
        (Upstream(name="a", vendor="groq"), True),
        (Upstream(name="a", url="https://api.groq.com/openai/v1"), False),
        (Upstream(name="a", vendor="azure", url="https://x.test/v1"), False),
        (Upstream(name="a", vendor="azure", url="https://x.test/v1", key="own"), True),
    ],
)
def test_the_usual_variable_of_a_vendor_has_its_key_where_it_is_named(monkeypatch, upstream, keyed):
    monkeypatch.setenv("GROQ_API_KEY", "usual")
    assert upstreams.keyed(upstream) is keyed


def test_a_key_that_could_not_stand_in_the_head_of_a_request_stops_the_start(monkeypatch, tmp_path):
    monkeypatch.setenv("GROQ_API_KEY", "gsk-“quoted”")
    (problem,) = upstreams.problems(settings(tmp_path, Upstream(name="a", vendor="groq")))
    assert problem == ("upstream a: GROQ_API_KEY must be plain ASCII characters, as it stands in a request's head")


BROUGHT = """
from freddy_fakes import ScriptedModel
from freddy.server.core.deltas import Stop, Text


def provider(address):
    model = ScriptedModel(Text("From a package"), Stop("stop"), profile=address.profile_of("acme-1"))
    model.address = address
    return model
"""


async def test_a_package_may_bring_a_provider(tmp_path, monkeypatch, opened):
    folder = tmp_path / "site"
    entry = folder / "acme_freddy-1.0.dist-info"
    entry.mkdir(parents=True)
    (folder / "acme_freddy.py").write_text(BROUGHT)
    (entry / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-freddy\nVersion: 1.0\n")
    (entry / "entry_points.txt").write_text("[freddy.providers]\nacme = acme_freddy:provider\n")
    monkeypatch.syspath_prepend(folder)
    upstream = Upstream(name="mine", kind="acme", url="http://acme.test/v1", key="k", headers={"X-Team": "search"})
    provider = await opened(upstream)
    assert isinstance(provider, ScriptedModel)
    assert (provider.name, provider.address.key, dict(provider.address.headers)) == ("mine", "k", {"X-Team": "search"})
    assert "k" not in repr(provider.address).replace("name", "")
    said = [delta async for batch in provider.model("acme-1").stream(None) for delta in batch]
    assert said[0] == deltas.Text("From a package")


def test_each_upstream_has_its_own_patience(tmp_path):
    told = settings(tmp_path, timeouts=parts.Timeouts(connect_seconds=1, idle_seconds=2, total_seconds=3))
    assert upstreams.limits(told).total == 3
    own = upstreams.limits(told, Upstream(name="a", idle_seconds=PATIENCE, total_seconds=60))
    assert (own.connect, own.idle, own.total) == (1, PATIENCE, 60)


def test_a_key_in_the_usual_variable_of_the_vendor_counts_as_one(monkeypatch):
    upstream = Upstream(name="fast", vendor="groq")
    assert not upstreams.keyed(upstream)
    monkeypatch.setenv("GROQ_API_KEY", "gsk-1")
    assert upstreams.keyed(upstream)
    assert not upstreams.keyed(Upstream(name="own", url="https://api.groq.com/openai/v1"))


def test_an_upstream_for_everything_leaves_others_what_they_name_wherever_it_stands(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    rest = '[[upstream]]\nname = "rest"\nurl = "http://127.0.0.1:9/v1"\n'
    ours = '[[upstream]]\nname = "ours"\nurl = "http://127.0.0.1:9/v1"\nmodels = ["gpt-*"]\n'
    (home / "freddy.toml").write_text(rest + ours)
    with serving(home) as server, server.client() as client:
        told = [client.get(f"/v1/models/{name}").json()["provider"] for name in ("gpt-9", "other")]
    assert told == ["ours", "rest"]
