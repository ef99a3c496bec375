"""The embedded model through the server, and the same engine alone."""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import aiohttp

import server
from freddy.server.providers.embedded import weights
from freddy.server.providers.embedded.engine import Engine
from freddy.server.providers.embedded.keeper import Choice

MODEL = "smollm2-135m"
TOKENS = 128
ROUNDS = 5
QUESTION = "Write a long story about a lighthouse keeper and her dog."
LONG = "The harbour was quiet and the gulls were asleep on the old stone wall. " * 62

Ask = Callable[[str], Awaitable[tuple[int, float, float]]]
"""A prompt to the number of tokens, the seconds to the first of them, and the seconds in all."""


async def run(folder: Path) -> None:
    print(f"\nmodel: {MODEL}, {TOKENS} tokens an answer, medians of {ROUNDS}")
    home = folder / "engine"
    models = home / "models"
    models.mkdir(parents=True)
    choice = Choice(MODEL, partial(weights.resolve, MODEL, models))
    async with Engine(choice) as engine:
        address = await engine.wait_ready(600)
        connector = aiohttp.UnixConnector(address.socket) if address.socket else None
        async with aiohttp.ClientSession(
            connector=connector, headers={"Authorization": f"Bearer {address.api_key}"}
        ) as alone:
            with server.serving(home, FREDDY_MODEL=MODEL, FREDDY_LOG_LEVEL="warning") as freddy:
                async with aiohttp.ClientSession() as through:
                    ways: dict[str, Ask] = {
                        "engine alone": partial(ask_engine, alone, f"{address.base_url}/v1/chat/completions"),
                        "through Freddy": partial(ask_freddy, through, f"{freddy.url}/v1/responses"),
                    }
                    await compare(ways)
                    await crowd(ways)
                    await turns(through, f"{freddy.url}/v1/responses")


async def compare(ways: dict[str, Ask]) -> None:
    for ask in ways.values():
        await ask(QUESTION)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    firsts: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        for name, ask in ways.items():
            tokens, first, seconds = await ask(f"{number}. {QUESTION}")
            rates[name].append((tokens - 1) / (seconds - first))
            firsts[name].append(first)
    rate = {name: statistics.median(all_) for name, all_ in rates.items()}
    first = {name: statistics.median(all_) * 1000 for name, all_ in firsts.items()}
    alone, through = ways
    for name in ways:
        print(f"  {name:16} {rate[name]:6.1f} tokens a second, first after {first[name]:6.0f} ms")
    through_rate, through_first = rate[through] / rate[alone], first[alone] / first[through]
    print(f"  through Freddy: {through_rate:.3f} of the rate, {through_first:.3f} of the first one's speed")


async def crowd(ways: dict[str, Ask]) -> None:
    for name, ask in ways.items():
        began = time.monotonic()
        answers = await asyncio.gather(*(ask(f"{number} {QUESTION}") for number in range(8)))
        rate = sum(tokens for tokens, _, _ in answers) / (time.monotonic() - began)
        print(f"  {name:16} {rate:6.1f} tokens a second with eight requests at once")


async def turns(session: aiohttp.ClientSession, url: str) -> None:
    seconds = []
    previous = None
    for prompt in (LONG + " What was quiet?", "And who was asleep?"):
        body = {"model": "ftg-3.0", "input": prompt, "stream": True, "max_output_tokens": 16}
        if previous:
            body["previous_response_id"] = previous
        _, first, _, previous = await heard(session, url, body)
        seconds.append(first)
    print(
        f"  a thread of 1,000 tokens: first token after {seconds[0]:.2f} s, in its second turn after {seconds[1]:.2f} s"
    )


async def ask_engine(session: aiohttp.ClientSession, url: str, prompt: str) -> tuple[int, float, float]:
    body = {
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        "max_tokens": TOKENS,
        "stream_options": {"include_usage": True},
    }
    began, first, tokens = time.monotonic(), 0.0, 0
    async with session.post(url, json=body) as answer:
        async for line in answer.content:
            if not line.startswith(b"data: {"):
                continue
            chunk = json.loads(line[6:])
            if not first and chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                first = time.monotonic() - began
            if usage := chunk.get("usage"):
                tokens = usage["completion_tokens"]
    return tokens, first, time.monotonic() - began


async def ask_freddy(session: aiohttp.ClientSession, url: str, prompt: str) -> tuple[int, float, float]:
    body = {"model": "ftg-3.0", "input": prompt, "stream": True, "max_output_tokens": TOKENS}
    tokens, first, seconds, _ = await heard(session, url, body)
    return tokens, first, seconds


async def heard(session: aiohttp.ClientSession, url: str, body: dict[str, object]) -> tuple[int, float, float, str]:
    began, first, tokens, response_id = time.monotonic(), 0.0, 0, ""
    async with session.post(url, json=body) as answer:
        async for line in answer.content:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if not first and event["type"] == "response.output_text.delta":
                first = time.monotonic() - began
            if event["type"] in ("response.completed", "response.incomplete"):
                tokens, response_id = event["response"]["usage"]["output_tokens"], event["response"]["id"]
    return tokens, first, time.monotonic() - began, response_id
