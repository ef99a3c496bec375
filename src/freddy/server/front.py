"""Where the server listens, and what it says of itself on the terminal. It imports nothing of the house."""

import socket
import sys
from collections.abc import Sequence

from freddy.server.config import Settings


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio's own loop sends small pieces at once (TCP_NODELAY) only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)  # noqa: FBT003
    return listener


def listeners(settings: Settings, apart: Sequence[int]) -> list[socket.socket]:
    """The one for everybody, then one for each of the ports `apart`. Raises OSError with a whole sentence."""
    host, opened = settings.server.host, list[socket.socket]()
    for port in (settings.server.port, *apart):
        try:
            opened.append(listen(host, port))
        except OSError as error:
            for one in opened:
                one.close()
            cure = "FREDDY_METRICS_PORT" if opened else "FREDDY_PORT"
            raise OSError(
                f"cannot listen on {host}:{port}: {error.strerror or error}; "
                f"choose another with {cure}, or stop what is there"
            ) from error
    return opened


def metrics_ports(settings: Settings) -> tuple[int, ...]:
    """One for each process."""
    first = settings.server.metrics_port
    return () if first is None else tuple(range(first, first + settings.server.workers))


def greet(settings: Settings, listener: socket.socket, key: str | None) -> None:
    """`key` is that of development mode, None outside it."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    url = settings.server.public_url or f"http://{shown}:{port}"
    lines = [f"Freddy listens on {url} (reference: {url}/docs)"]
    if key is not None:
        lines += [
            "",
            "Local development mode: only this machine reaches it, and no key is asked for.",
            f"  key   {key}",
            "  try   curl " + url + "/v1/model/response \\",
            f"          -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\",
            '          -d \'{"inputs": "Say hello in one sentence."}\'',
        ]
    else:
        lines.append("Keys are made with: freddy keys create NAME")
    sys.stdout.write("\n".join(lines) + "\n\n")
    sys.stdout.flush()


def greet_worker(settings: Settings, told: Sequence[socket.socket]) -> None:
    lines = [f"Freddy performs up to {settings.background.at_once} responses at a time for the servers of its database"]
    for one in told:
        host, port = one.getsockname()[:2]
        lines.append(f"Its health and counts: http://{host}:{port}/health/ready and /metrics")
    sys.stdout.write("\n".join(lines) + "\n\n")
    sys.stdout.flush()


def refuse(problem: str) -> int:
    """The exit code."""
    sys.stderr.write(f"freddy: {problem}\n")
    return 1
