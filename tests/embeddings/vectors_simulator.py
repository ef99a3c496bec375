"""Simulates servers that make vectors. https://platform.openai.com/docs/api-reference/embeddings/create"""

import base64
import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from openai.types import CreateEmbeddingResponse
from openai.types import embedding_create_params as params

from simulators.published import Published
from simulators.script import Call, Fault, Plain, Reply
from simulators.server import Json, Simulator

_PUBLISHED = Published(params.EmbeddingCreateParams)


def numbers(text: str, length: int) -> list[float]:
    """What this model thinks of a text: its length stands first. Not of unit length."""
    return [float(len(text)), *[1.0] * (length - 1)]


def answer(
    texts: list[str], *, length: int = 4, backwards: bool = False, encoded: bool = False, model: str = "m"
) -> Plain:
    told: list[Json] = [
        {"object": "embedding", "index": at, "embedding": numbers(text, length)} for at, text in enumerate(texts)
    ]
    for one in told if encoded else ():
        one["embedding"] = base64.b64encode(struct.pack(f"<{length}f", *one["embedding"])).decode()
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    body = {"object": "list", "data": told[::-1] if backwards else told, "model": model, "usage": usage}
    if not encoded:
        CreateEmbeddingResponse.model_validate(body)
    return Plain(json.dumps(body).encode())


class Vectors(Simulator):
    """Refuses what OpenAI refuses: empty texts, more than 2,048 of them; and here texts of more than `most` characters.

    A body that answers has vectors of `dimensions`, or of four numbers.
    """

    kind = "openai"
    ask = "/v1/embeddings"
    others = ("/v1/models",)

    def __init__(self, *, most: int = 32_768, backwards: bool = False, encoded: bool = False, **options: Any) -> None:
        super().__init__(answering=self._answer_to, **options)
        self._most = most
        self._ways = {"backwards": backwards, "encoded": encoded}

    def given_key(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("authorization", "").removeprefix("Bearer ") or None

    def wrong(self, call: Call, raw: bytes) -> Iterator[str]:
        if misfit := _PUBLISHED.wrong(raw):
            yield misfit
        texts = call.body.get("input", [])
        if not isinstance(texts, list) or not 0 < len(texts) <= 2048 or not all(texts):
            yield "'input' must be 1 to 2048 texts, none of them empty"

    def fault(self, fault: Fault) -> Json:
        return {"error": {"message": fault.message, "type": "invalid_request_error", "param": None, "code": fault.code}}

    def look(self, call: Call) -> Json:
        return {"object": "list", "data": []}

    def _answer_to(self, call: Call) -> Reply:
        texts = call.body["input"]
        if any(len(text) > self._most for text in texts):
            return Fault(400, "This model's maximum context length is 8192 tokens, however you requested 9000 tokens.")
        return answer(texts, length=call.body.get("dimensions", 4), model=call.body["model"], **self._ways)
