"""Owns the word for one try to have a model answer."""

from msgspec import Struct


class Attempt(Struct, frozen=True, omit_defaults=True):
    """`provider` was asked for `model` and took `seconds`. `code` is that of its error; empty where it answered.

    `note` says what else there is to know, such as a repaired answer.
    """

    provider: str
    model: str
    seconds: float = 0.0
    code: str = ""
    status: int | None = None
    note: str = ""
