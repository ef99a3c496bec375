"""Rewrites all-MiniLM-L6-v2 as the GGUF file that the engine loads: its safetensors, followed by its vocabulary.

Run by file path in a process of its own: its memory goes with it, and it imports nothing of the gateway.
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, https://huggingface.co/docs/safetensors
"""

import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

LAYERS, WIDTH, HEADS, INNER, POSITIONS = 6, 384, 12, 1536, 512
EPSILON = 1e-12
MEAN = 1
"""How the tokens' vectors become one."""

F32, Q8_0 = 0, 8
MOSTLY_Q8_0 = 7
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
NORMAL, CONTROL = 1, 3
SPECIAL = {"padding": "[PAD]", "unknown": "[UNK]", "cls": "[CLS]", "seperator": "[SEP]", "mask": "[MASK]"}
"""As the format spells them."""
ALIGNMENT = 32

NAMES = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm": "token_embd_norm",
}
LAYER_NAMES = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
WHOLE = ("position_embd.weight", "token_types.weight")
"""Small tensors that the engine wants as they are."""


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    kind: int
    data: Bytes


def convert(source: Path, target: Path) -> None:
    data = np.memmap(source, dtype=np.uint8, mode="r")
    (length,) = struct.unpack("<Q", data[:8].tobytes())
    start = 8 + length
    header = json.loads(data[8:start].tobytes())
    header.pop("__metadata__", None)
    end = start + max(place["data_offsets"][1] for place in header.values())
    tokens = data[end:].tobytes().decode().splitlines()

    def read(name: str) -> Floats:
        place = header[name]
        begin, stop = place["data_offsets"]
        if place["dtype"] != "F32":
            raise ValueError(f"{name} is not of 32-bit floats")
        return data[start + begin : start + stop].view(np.float32).reshape(place["shape"])

    tensors = [_tensor(ours, read(theirs)) for theirs, ours in _names()]
    with target.open("wb") as file:
        _write(file, _facts(tokens), tensors)


def _names() -> list[tuple[str, str]]:
    """The model's name of a tensor, and the format's."""
    named = {name: ours for name, ours in NAMES.items() if name.endswith(".weight")}
    pairs = {theirs: ours for theirs, ours in NAMES.items() if theirs not in named}
    for layer in range(LAYERS):
        pairs |= {f"encoder.layer.{layer}.{theirs}": f"blk.{layer}.{ours}" for theirs, ours in LAYER_NAMES.items()}
    named |= {f"{theirs}.{part}": f"{ours}.{part}" for theirs, ours in pairs.items() for part in ("weight", "bias")}
    return list(named.items())


def _tensor(name: str, values: Floats) -> Tensor:
    if values.ndim == 1 or name in WHOLE:
        return Tensor(name, values.shape, F32, np.ascontiguousarray(values).reshape(-1).view(np.uint8))
    return Tensor(name, values.shape, Q8_0, q8_0(values))


def q8_0(values: Floats) -> Bytes:
    """Blocks of 32 weights → a scale with 32 signed bytes."""
    blocks = values.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    told = np.empty((len(blocks), 34), np.uint8)
    told[:, :2] = scale.astype(np.float16).view(np.uint8)
    told[:, 2:] = np.rint(blocks / np.where(scale == 0, np.float32(1), scale)).astype(np.int8).view(np.uint8)
    return told.reshape(-1)


def _facts(tokens: list[str]) -> list[bytes]:
    kinds = [CONTROL if token in SPECIAL.values() else NORMAL for token in tokens]
    return [
        _string("general.architecture", "bert"),
        _string("general.name", "all-MiniLM-L6-v2"),
        _string("general.license", "apache-2.0"),
        _number("general.file_type", MOSTLY_Q8_0),
        _number("general.quantization_version", 2),
        _number("bert.block_count", LAYERS),
        _number("bert.context_length", POSITIONS),
        _number("bert.embedding_length", WIDTH),
        _number("bert.feed_forward_length", INNER),
        _number("bert.attention.head_count", HEADS),
        _key("bert.attention.layer_norm_epsilon", FLOAT32) + struct.pack("<f", EPSILON),
        _key("bert.attention.causal", BOOL) + b"\0",
        _number("bert.pooling_type", MEAN),
        _string("tokenizer.ggml.model", "bert"),
        _string("tokenizer.ggml.pre", "default"),
        _number("tokenizer.ggml.token_type_count", 2),
        _key("tokenizer.ggml.tokens", ARRAY)
        + struct.pack("<IQ", STRING, len(tokens))
        + b"".join(_text(_phantom(token)) for token in tokens),
        _key("tokenizer.ggml.token_type", ARRAY) + struct.pack(f"<IQ{len(kinds)}i", INT32, len(kinds), *kinds),
        *(_number(f"tokenizer.ggml.{role}_token_id", tokens.index(token)) for role, token in SPECIAL.items()),
    ]


def _phantom(token: str) -> str:
    """The engine marks where words begin; the vocabulary marks where they go on."""
    if token.startswith("[") and token.endswith("]"):
        return token
    return token[2:] if token.startswith("##") else f"\u2581{token}"


def _write(file: BinaryIO, facts: list[bytes], tensors: list[Tensor]) -> None:
    file.write(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(facts)))
    file.writelines(facts)
    offset = 0
    for tensor in tensors:
        dimensions = tensor.shape[::-1]
        file.write(_text(tensor.name) + struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions))
        file.write(struct.pack("<IQ", tensor.kind, offset))
        offset += _aligned(tensor.data.nbytes)
    _pad(file)
    for tensor in tensors:
        file.write(tensor.data.data)
        _pad(file)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _key(name: str, kind: int) -> bytes:
    return _text(name) + struct.pack("<I", kind)


def _string(name: str, value: str) -> bytes:
    return _key(name, STRING) + _text(value)


def _number(name: str, value: int) -> bytes:
    return _key(name, UINT32) + struct.pack("<I", value)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _pad(file: BinaryIO) -> None:
    file.write(bytes(_aligned(file.tell()) - file.tell()))


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
