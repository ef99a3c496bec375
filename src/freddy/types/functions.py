"""Registered functions, as the server tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from freddy.types._view import Reader, View, plain


class RegisteredFunction(View):
    """A function that the server calls at its `url`. Requests name it by `name`, among `functions`.

    `secret` signs the calls: it is there only in the answers that made it. Headers stand as `***REDACTED***`.
    """

    id: str
    object: str
    organization_id: str
    name: str
    description: str | None
    parameters: dict[str, Any]
    url: str
    headers: dict[str, str]
    timeout_seconds: int
    require_approval: bool
    idempotent: bool
    enabled: bool
    metadata: dict[str, str]
    secret: str | None
    previous_secret_until: int | None
    version: int
    created_at: int
    updated_at: int
    created_by: str | None
    _readers: ClassVar[Mapping[str, Reader]] = {"parameters": plain, "headers": plain, "metadata": plain}


class FunctionTest(View):
    """What a function answered to a test: `output` as a model would read it, or else an `error`."""

    object: str
    success: bool
    output: str | None
    error: str | None
    duration_ms: int
