"""Owns the noun thread: a kept conversation."""

from msgspec import Struct


class Thread(Struct, frozen=True, kw_only=True):
    """Times are Unix seconds. Its items are those of the responses that name it."""

    id: str
    organization_id: str
    created_at: int
    updated_at: int
    last_message_at: int | None = None
    title: str | None = None
    metadata: dict[str, str] = {}
    last_model: str | None = None
    message_count: int = 0
    pinned_at: int | None = None
    assistant_id: str | None = None
    """Bound by the first request; other assistants are refused after that."""
    user_id: str | None = None
    visible: bool = True
    """Whether people should be shown it in lists."""
