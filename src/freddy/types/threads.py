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
    visible_in_ui: bool | None
    last_model_used: str | None
    is_pinned: bool | None
    pinned_at: str | None
    _readers: ClassVar[Mapping[str, Reader]] = {"metadata": plain}


class ThreadMessage(View):
    """One message of a thread. `content` is its text. `response_id` is None where it was put there by hand."""

    id: str
    object: str | None
    created_at: str
    thread_id: str
    response_id: str | None
    role: str
    content: Any
    metadata: dict[str, Any] | None
    _readers: ClassVar[Mapping[str, Reader]] = {"metadata": plain}


class ThreadPin(View):
    """Whether a thread stands before the others in lists, and since when."""

    id: str
    is_pinned: bool
    pinned_at: str | None
    message: str


class ThreadsDeleted(View):
    """How many threads were deleted."""

    deleted: int
    message: str


class ThreadName(View):
    """What a thread is called now."""

    thread_id: str
    title: str
    name: str


class ThreadStopped(View):
    """What became of a thread whose response was stopped.

    `cancel_mode` is `quick_edit` (nothing of the request stays) or `keep_partial` (what was said until then does).
    """

    success: bool
    response_id: str
    thread_id: str
    cancel_mode: str
    elapsed_seconds: float
    user_message_deleted: bool
    assistant_response_deleted: bool
    partial_content_saved: bool
