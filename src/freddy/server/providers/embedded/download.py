"""One file over HTTP: goes on where it broke off, and never takes more than it should."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import httpx2

from freddy.server.providers.embedded.faults import WeightsUnavailable

TRIES = 5


def download(
    client: httpx2.Client,
    url: str,
    target: Path,
    *,
    most: int,
    tell: Callable[[int], None],
    pause: Callable[[float], None],
) -> None:
    """Fetches `url` into `target`, of which a beginning may be there. `tell` hears the size so far.

    Breaks are mended up to `TRIES` times in a row without progress; more than `most` bytes are refused.
    """
    failures = 0
    while True:
        before = _size(target)
        try:
            _go_on(client, url, target, most=most, tell=tell)
        except httpx2.HTTPStatusError as error:
            if error.response.status_code < 500 and error.response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                raise
            reason: httpx2.HTTPError = error
        except httpx2.TransportError as error:
            reason = error
        else:
            return
        failures = 1 if _size(target) > before else failures + 1
        # A server that was never reached is not worth waiting for: there are other sources.
        if failures >= TRIES or (isinstance(reason, httpx2.ConnectError) and before == 0):
            raise reason
        pause(2.0 ** (failures - 1))


def _go_on(client: httpx2.Client, url: str, target: Path, *, most: int, tell: Callable[[int], None]) -> None:
    start = _size(target)
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            # Nothing follows: either all of it is there, which the hash will tell, or it is another file.
            return
        answer.raise_for_status()
        if start and not _continues(answer, start):
            start = 0
        with target.open("ab" if start else "wb") as file:
            done = start
            tell(done)
            for chunk in answer.iter_raw():
                done += len(chunk)
                if done > most:
                    raise WeightsUnavailable("the answer is longer than the file that was asked for")
                file.write(chunk)
                tell(done)


def _continues(answer: httpx2.Response, start: int) -> bool:
    content_range = answer.headers.get("content-range", "")
    return answer.status_code == HTTPStatus.PARTIAL_CONTENT and content_range.startswith(f"bytes {start}-")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
