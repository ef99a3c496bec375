"""Prompt templates, as the server tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from freddy.types._view import Reader, View, plain


class Prompt(View):
    """A template. Its id goes into `responses.create(prompt={"id": ...})`."""

    id: str
    object: str
    organization_id: str
    name: str
    description: str | None
    content: str
    variables: dict[str, dict[str, Any]]
    required_variables: list[str]
    tags: list[str]
    is_public: bool
    model: str | None
    metadata: dict[str, str]
    version: str
    created_at: int
    updated_at: int
    created_by: str | None
    _readers: ClassVar[Mapping[str, Reader]] = {"variables": plain, "metadata": plain}
