"""Two servers over one PostgreSQL, one Valkey and one bucket, as somebody would run them behind a proxy."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx2
from moto.server import ThreadedMotoServer

from databases import PostgresServer, postgres_server
from freddy_process import BOUND, Served, environment, serving
from freddy_upstream import Upstream
from simulators.aside import Aside
from stores_stage import Hashes
from valkeys import Valkey, valkey

BUCKET = "freddys"
PER_MINUTE = 30
SETTINGS = """
[[upstream]]
name = "stage"
url = "{upstream}"
models = ["*"]

[[upstream]]
name = "words"
url = "{embedder}"
kind = "compatible"
key = "sk-words"
models = ["hashes"]

[embeddings]
model = "words/hashes"

[knowledge]
lease_seconds = 5
poll_seconds = 0.5

[limits]
key_requests_per_minute = {per_minute}

[files]
s3_bucket = "{bucket}"
s3_endpoint = "{s3}"
s3_access_key = "key"
s3_secret_key = "secret"

[accounts]
registration = true
password_cost = 8

[dev]
mode = "off"
"""


class Bucket:
    """A server that speaks S3, on one port for life. What it keeps outlives a `stop`."""

    def __init__(self) -> None:
        self._port = 0
        self._server: ThreadedMotoServer | None = None

    def __enter__(self) -> Self:
        self.start()
        request = urllib.request.Request(f"{self.url}/{BUCKET}", method="PUT", headers={"content-length": "0"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=BOUND) as answer:
            assert answer.status == 200
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        _, self._port = self._server.get_host_and_port()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.stop()


class Services:
    """What replicas share, and the settings that say so."""

    def __init__(
        self,
        folder: Path,
        *,
        postgres: PostgresServer,
        counters: Valkey,
        bucket: Bucket,
        upstream: Upstream,
        embedder: Hashes,
        aside: Aside,
    ) -> None:
        self.postgres, self.counters, self.bucket = postgres, counters, bucket
        self.upstream = upstream
        self._embedder, self._aside = embedder, aside
        self._folder = folder
        self._file = folder / "freddy.toml"
        self._file.write_text(
            SETTINGS.format(
                upstream=upstream.url,
                embedder=embedder.url,
                per_minute=PER_MINUTE,
                bucket=BUCKET,
                s3=bucket.url,
            )
        )
        self.variables = {
            "FREDDY_CONFIG": str(self._file),
            "FREDDY_DATABASE": postgres.url(),
            "FREDDY_REDIS_URL": counters.url,
            "FREDDY_SECRET_KEY": "k" * 44,
        }

    @contextmanager
    def replica(self, name: str) -> Iterator[Served]:
        with serving(self._folder / name, **self.variables) as server:
            yield server

    def told(self, words: Sequence[str]) -> Any:
        """What `freddy` says as JSON, run anywhere with the same settings."""
        home = self._folder / "shell"
        home.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "freddy", *words, "--json"],
            env=environment(home, **self.variables),
            check=False,
            capture_output=True,
            text=True,
            timeout=2 * BOUND,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def no_vectors(self) -> Iterator[None]:
        """Whoever asks for vectors waits until the context ends."""
        self._aside.tell(self._embedder.held.clear)
        try:
            yield
        finally:
            self._aside.tell(self._embedder.held.set)

    def key(self, name: str) -> dict[str, Any]:
        """A key of its own for a test: limits are counted for each."""
        return self.told(["keys", "create", name])


@contextmanager
def services(folder: Path) -> Iterator[Services]:
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server("synchronous_commit=on"))
        counters = stack.enter_context(valkey())
        bucket = stack.enter_context(Bucket())
        upstream = stack.enter_context(Upstream())
        embedder = Hashes()
        aside = stack.enter_context(Aside(embedder, ending=embedder.held.set))
        yield Services(
            folder,
            postgres=postgres,
            counters=counters,
            bucket=bucket,
            upstream=upstream,
            embedder=embedder,
            aside=aside,
        )


def ok(answer: httpx2.Response) -> Any:
    assert answer.status_code in (200, 201), answer.text
    return answer.json()
