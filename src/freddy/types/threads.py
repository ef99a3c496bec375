"""Threads: kept conversations, as the server tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from freddy.types._view import Reader, View, plain


class Thread(View):
    """A kept conversation. Its id goes into `responses.create(thread=...)`."""

    id: str
    object: str
    created_at: str
    updated_at: str | None
    last_message_at: str | None
    title: str | None
    status: str | None
    message_count: int | None
    metadata: dict[str, str] | None
    assistant_id: str | None
    organization_id: str | None
    user_id: str | None
    last_model_used: str | None
    is_pinned: bool | None
    pinned_at: str | None
    _readers: ClassVar[Mapping[str, Reader]] = {"metadata": plain}


class ThreadMessage(View):
    """One message of a thread. `content` is its text, or its parts."""

    id: str
    object: str | None
    created_at: str
    thread_id: str
    role: str
    content: Any
    metadata: dict[str, Any] | None
    _readers: ClassVar[Mapping[str, Reader]] = {"metadata": plain}
