"""Assistants: settings kept under an id, as the server tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from freddy.types._view import Reader, View, plain


class Assistant(View):
    """Settings under an id. Give it to `responses.create(assistant_id=...)`; a list may tell less of it."""

    id: str
    object: str
    organization_id: str | None
    name: str
    description: str | None
    version: int
    created_by: str | None
    created_at: int
    updated_at: int
    is_active: bool
    api_enabled: bool
    access_mode: str
    access_users: list[str] | None
    editable_by_users: list[str] | None
    visible_in_chat_to_users: list[str] | None
    user_access_level: str | None
    default_model_key: str | None
    instructions: str | None
    system_message: list[View] | None
    temperature: float | None
    top_p: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    top_logprobs: int | None
    seed: int | None
    stop_sequences: list[str] | None
    verbosity: str | None
    max_completion_tokens: int | None
    output_mode: str | None
    json_schemas: Any
    reasoning: View | None
    max_tool_calls: int | None
    parallel_tool_calls: bool | None
    context_strategy: str | None
    truncation: bool | None
    store_responses: bool | None
    rule_ids: list[str] | None
    vector_store_ids: list[str] | None
    allowed_model_providers: list[str] | None
    metadata: dict[str, str] | None
    _readers: ClassVar[Mapping[str, Reader]] = {
        "metadata": plain,
        "json_schemas": plain,
        "logit_bias": plain,
        "text_config": plain,
        "tool_configurations": plain,
    }


class AssistantVersion(View):
    """One version of an assistant: who made it, when, and what it changed. `metadata` has its number."""

    id: str
    timestamp: int
    resource_id: str
    resource_name: str
    action: str
    user_id: str
    changes: list[View]
    metadata: dict[str, Any]
    _readers: ClassVar[Mapping[str, Reader]] = {"metadata": plain}
