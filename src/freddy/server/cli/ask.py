"""`freddy ask`: a caller like any other, through the client. It works without the server's packages, too."""

import argparse
import json
import os
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from freddy import (
    APIConnectionError,
    FreddyClient,
    FreddyError,
    Response,
    Stream,
    StreamInterruptedError,
    types,
)
from freddy.server.cli import terminal

INTERRUPTED = 130
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def run(arguments: argparse.Namespace) -> int:
    try:
        prompt = _prompt(arguments.prompt)
        for text in (prompt, arguments.model, arguments.system, arguments.thread):
            (text or "").encode()
    except UnicodeError:
        terminal.fail("the question and the options must be text in UTF-8")
        return 2
    if not prompt:
        terminal.fail('there is no question; try: freddy ask "Why is the sky blue?"')
        return 2
    try:
        client = _client(arguments.config)
    except ValueError as error:
        # The client refuses an address or a key of a wrong form.
        terminal.fail(str(error))
        return 2
    with client:
        try:
            return _ask(client, arguments, prompt)
        except StreamInterruptedError as error:
            terminal.fail(str(error))
        except APIConnectionError as error:
            terminal.fail(f"{client.base_url}: {error}; is the server running? Start it with: freddy serve")
        except FreddyError as error:
            terminal.fail(str(error))
    return 1


def _ask(client: FreddyClient, arguments: argparse.Namespace, prompt: str) -> int:
    started = time.monotonic()
    stream = client.responses.stream(
        inputs=[{"role": "user", "content": prompt}],
        model=arguments.model or types.NOT_GIVEN,
        instructions=arguments.system or types.NOT_GIVEN,
        thread=arguments.thread or types.NOT_GIVEN,
        max_output_synapses=types.NOT_GIVEN if arguments.max_tokens is None else arguments.max_tokens,
    )
    try:
        with stream:
            if not arguments.json:
                _tell(stream)
            response = stream.get_final_response()
    except KeyboardInterrupt:
        _cancel(client, stream)
        return INTERRUPTED
    if arguments.json:
        terminal.say(json.dumps(response.to_dict(), indent=2, ensure_ascii=False))
    return _ending(response, time.monotonic() - started)


def _tell(stream: Stream) -> None:
    """Writes the answer as it comes: on a terminal with colour and its thoughts, elsewhere the bare text."""
    live = sys.stdout.isatty()
    last = "\n"
    for event in stream:
        if isinstance(event, types.TextDelta):
            text, colour = event.delta, terminal.CYAN
        elif isinstance(event, types.ReasoningEvent) and event.delta and live:
            text, colour = event.delta, terminal.DIM
        else:
            continue
        if text:
            last = text[-1]
            text = terminal.harmless(text) if live else text
            sys.stdout.write(terminal.paint(text, colour, sys.stdout))
            sys.stdout.flush()
    if last != "\n":
        terminal.say()


def _ending(response: Response, seconds: float) -> int:
    if response.status in ("failed", "cancelled"):
        terminal.fail(response.error.message if response.error else f"the response was {response.status}")
        return 1
    if response.status == "incomplete":
        details = response.incomplete_details
        reason = details.raw.get("reason") if details else None
        terminal.note(f"freddy: the answer is not complete ({reason or 'the server does not say why'})")
    if sys.stderr.isatty() and sys.stdout.isatty() and (usage := response.usage):
        facts = f"{response.model} · {usage.input_tokens} + {usage.output_tokens} tokens · {seconds:.1f} s"
        terminal.note(terminal.paint(facts, terminal.DIM, sys.stderr))
    return 0


def _cancel(client: FreddyClient, stream: Stream) -> None:
    """Hanging up stops it as well, once the server notices; asking stops it now."""
    if sys.stdout.isatty():
        terminal.say()
    if stream.response_id:
        with suppress(FreddyError, KeyboardInterrupt):
            client.responses.cancel(stream.response_id, timeout=5)


def _prompt(words: list[str]) -> str:
    parts = [] if words == ["-"] else [" ".join(words)]
    # Only a pipe or a file: a service or a test runner may hold a stdin open that never says anything.
    if words == ["-"] or _is_piped():
        parts.append(sys.stdin.read())
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _is_piped() -> bool:
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _client(config_path: Path | None) -> FreddyClient:
    """The environment's server and key, else those of the local server."""
    base_url, key = terminal.given("FREDDY_BASE_URL"), terminal.given("FREDDY_API_KEY")
    if base_url and key:
        return FreddyClient()
    try:
        from freddy.server import config  # noqa: PLC0415 (the client alone may be installed)
    except ModuleNotFoundError:
        return FreddyClient()
    settings, _ = config.read(config_path)
    host = settings.server.host.strip("[]")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (not bound)
    base_url = base_url or f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port or 8000}"
    # The development key stays on this machine, wherever FREDDY_BASE_URL may lead.
    if not key and urlsplit(base_url).hostname in _LOOPBACK:
        key = config.dev_key(settings)
    return FreddyClient(key, base_url=base_url)
