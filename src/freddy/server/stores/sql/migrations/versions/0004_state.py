"""State and governance: people, configured things, usage, and threads that are made of entries."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# In an order in which they can be removed.
_CHANGED = ("items", "responses", "threads", "api_keys", "organizations")
_INDEXES = (
    "ix_threads_organization_id_created_at_id",
    "ix_responses_thread",
    "ix_responses_unfinished",
    "ix_items_id",
    "ix_items_messages",
)
_BATCH = 500
_EVERYTHING = {
    "responses:read", "responses:write", "threads:read", "threads:write", "models:read", "files:read", "files:write",
    "keys:manage", "providers:manage",
}  # fmt: skip
_NEW_SCOPES = (
    "assistants:read", "assistants:write", "rules:read", "rules:write", "prompts:read", "prompts:write", "usage:read",
    "members:manage", "organizations:manage", "audit:read",
)  # fmt: skip

_MOVES = (
    "INSERT INTO organizations (id, name, created_at, updated_at, data) "
    "SELECT id, name, created_at, created_at, '{}' FROM old_organizations",
    # Before, an organization saw the responses that succeeded, in the order in which they began.
    "INSERT INTO threads (organization_id, id, created_at, updated_at, last_message_at, title, metadata, last_model, "
    "pinned_at, visible, message_count, places) "
    "SELECT organization_id, id, created_at, updated_at, last_message_at, title, metadata, last_model, pinned_at, 1, "
    "(SELECT count(*) FROM old_responses r JOIN old_items i ON i.response_id = r.id "
    "WHERE r.organization_id = t.organization_id AND r.thread_id = t.id AND i.type = 'message' "
    "AND r.status IN ('completed', 'incomplete', 'requires_action')), "
    "(SELECT count(*) FROM old_responses r WHERE r.organization_id = t.organization_id AND r.thread_id = t.id "
    "AND r.status IN ('completed', 'incomplete', 'requires_action')) "
    "FROM old_threads t",
    "INSERT INTO entries (organization_id, thread_id, place, owner_id, created_at) "
    "SELECT organization_id, thread_id, row_number() OVER (PARTITION BY organization_id, thread_id ORDER BY seq), "
    "id, created_at FROM old_responses "
    "WHERE thread_id IS NOT NULL AND status IN ('completed', 'incomplete', 'requires_action')",
    "INSERT INTO responses (seq, id, organization_id, key_id, thread_id, previous_response_id, status, model, "
    "provider, created_at, completed_at, request, outcome) "
    "SELECT seq, id, organization_id, key_id, thread_id, previous_response_id, status, model, provider, created_at, "
    "completed_at, request, outcome FROM old_responses",
    "INSERT INTO items (owner_id, direction, position, id, organization_id, type, data, hidden) "
    "SELECT response_id, direction, position, id, organization_id, type, data, 0 FROM old_items",
    "INSERT INTO api_keys (id, name, prefix, digest, organization_ids, scopes, created_at, expires_at, revoked_at, "
    "organization_id, data) "
    "SELECT id, name, prefix, digest, organization_ids, scopes, created_at, expires_at, revoked_at, '', '{}' "
    "FROM old_api_keys",
)


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        # Databases of other kinds begin with this version: there is nothing in them.
        for name in _CHANGED:
            op.drop_table(name)
        _make()
        return
    # SQLite changes a table by making it anew.
    for index in _INDEXES:
        op.drop_index(index)
    for name in _CHANGED:
        op.rename_table(name, f"old_{name}")
    _make()
    for move in _MOVES:
        op.execute(sa.text(move))
    _name_organizations(connection)
    _label(connection, "thread", "threads", "metadata")
    _label(connection, "response", "responses", "request")
    for name in _CHANGED:
        op.drop_table(f"old_{name}")


def _name_organizations(connection: sa.Connection) -> None:
    """A key belongs to the first of the organizations that it reaches. One that might do everything still may."""
    keys = connection.exec_driver_sql("SELECT id, organization_ids, scopes FROM api_keys").fetchall()
    for key_id, organization_ids, scopes in keys:
        first = next(iter(json.loads(organization_ids)), "")
        known = json.loads(scopes)
        if set(known) >= _EVERYTHING:
            scopes = json.dumps([*known, *(scope for scope in _NEW_SCOPES if scope not in known)])
        connection.exec_driver_sql(
            "UPDATE api_keys SET organization_id = ?, scopes = ? WHERE id = ?", (first, scopes, key_id)
        )


def _label(connection: sa.Connection, kind: str, table: str, column: str) -> None:
    """Makes metadata findable: what the column says of itself, or under `metadata`."""
    last = -1
    while rows := connection.exec_driver_sql(
        f"SELECT rowid, organization_id, id, {column} FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT {_BATCH}",  # noqa: S608 — both are ours
        (last,),
    ).fetchall():
        labels = []
        for last, organization_id, found_id, data in rows:  # noqa: B007 — where the next batch begins
            told = json.loads(data)
            pairs = told.get("metadata", {}) if column == "request" else told
            labels += [(organization_id, kind, key, value, found_id) for key, value in pairs.items()]
        if labels:
            connection.exec_driver_sql(
                "INSERT INTO labels (organization_id, kind, key, value, id) VALUES (?, ?, ?, ?, ?)", labels
            )


def _make() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("organization_ids", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index("ix_api_keys_organization_id_created_at_id", "api_keys", ["organization_id", "created_at", "id"])
    op.create_table(
        "audit",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor_type", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("resource_type", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("resource_name", sa.Text),
        sa.Column("changes", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_organization_id_id", "audit", ["organization_id", "id"])
    op.create_table(
        "invitations",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("invited_by", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("accepted_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("digest", name="uq_invitations_digest"),
    )
    op.create_index("ix_invitations_organization_id_created_at", "invitations", ["organization_id", "created_at"])
    op.create_table(
        "items",
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "direction", "position", name="pk_items"),
    )
    op.create_index("ix_items_id", "items", ["id"])
    op.create_table(
        "labels",
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "kind", "key", "value", "id", name="pk_labels"),
    )
    op.create_index("ix_labels_organization_id_kind_id", "labels", ["organization_id", "kind", "id"])
    op.create_table(
        "members",
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "user_id", name="pk_members"),
    )
    op.create_index("ix_members_user_id", "members", ["user_id"])
    op.create_table(
        "organizations",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organizations"),
    )
    op.create_table(
        "records",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_records"),
    )
    op.create_index(
        "ix_records_organization_id_kind_created_at_id", "records", ["organization_id", "kind", "created_at", "id"]
    )
    op.create_table(
        "repeats",
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("response_id", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "key", name="pk_repeats"),
    )
    op.create_index("ix_repeats_expires_at", "repeats", ["expires_at"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("previous", sa.LargeBinary),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("refreshed_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("digest", name="uq_sessions_digest"),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "threads",
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("last_message_at", sa.BigInteger),
        sa.Column("title", sa.Text),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("last_model", sa.Text),
        sa.Column("pinned_at", sa.BigInteger),
        sa.Column("assistant_id", sa.Text),
        sa.Column("user_id", sa.Text),
        sa.Column("visible", sa.Boolean, nullable=False),
        sa.Column("message_count", sa.Integer, nullable=False),
        sa.Column("places", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="pk_threads"),
    )
    op.create_index("ix_threads_organization_id_created_at_id", "threads", ["organization_id", "created_at", "id"])
    op.create_index(
        "ix_threads_pinned",
        "threads",
        ["organization_id", "pinned_at", "id"],
        sqlite_where=sa.text("pinned_at IS NOT NULL"),
        postgresql_where=sa.text("pinned_at IS NOT NULL"),
    )
    op.create_index(
        "ix_threads_user",
        "threads",
        ["organization_id", "user_id", "created_at", "id"],
        sqlite_where=sa.text("user_id IS NOT NULL"),
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )
    op.create_table(
        "usage",
        sa.Column("response_id", sa.Text, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("user_id", sa.Text),
        sa.Column("thread_id", sa.Text),
        sa.Column("assistant_id", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("cost", sa.BigInteger),
        sa.Column("milliseconds", sa.BigInteger, nullable=False),
        sa.Column("summed", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("response_id", "place", name="pk_usage"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_usage_unsummed",
        "usage",
        ["organization_id"],
        sqlite_where=sa.text("NOT summed"),
        postgresql_where=sa.text("NOT summed"),
    )
    op.create_table(
        "usage_sums",
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("span", sa.Text, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("unpriced", sa.BigInteger, nullable=False),
        sa.Column("milliseconds", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "span", "start", "key_id", "user_id", "kind", "name", "provider", name="pk_usage_sums"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("password", sa.Text),
        sa.Column("issuer", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("deactivated_at", sa.BigInteger),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("issuer", "subject", name="uq_users_issuer_subject"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "attachments",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("rule_id", sa.Text, nullable=False),
        sa.Column("entity_type", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("character_limit", sa.Integer),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_attachments"),
        sa.UniqueConstraint("rule_id", "entity_type", "entity_id", name="uq_attachments_rule_id_entity_type_entity_id"),
        sa.ForeignKeyConstraint(["rule_id"], ["records.id"], name="fk_attachments_records", ondelete="CASCADE"),
    )
    op.create_index(
        "ix_attachments_organization_id_entity_type_entity_id",
        "attachments",
        ["organization_id", "entity_type", "entity_id"],
    )
    op.create_table(
        "entries",
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "thread_id", "place", name="pk_entries"),
        sa.ForeignKeyConstraint(
            ["organization_id", "thread_id"],
            ["threads.organization_id", "threads.id"],
            name="fk_entries_threads",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_entries_owner_id_organization_id_thread_id", "entries", ["owner_id", "organization_id", "thread_id"]
    )
    op.create_table(
        "record_versions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.PrimaryKeyConstraint("id", "version", name="pk_record_versions"),
        sa.ForeignKeyConstraint(["id"], ["records.id"], name="fk_record_versions_records", ondelete="CASCADE"),
    )
    op.create_table(
        "responses",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("user_id", sa.Text),
        sa.Column("thread_id", sa.Text),
        sa.Column("previous_response_id", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("completed_at", sa.BigInteger),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_responses"),
        sa.ForeignKeyConstraint(
            ["organization_id", "thread_id"],
            ["threads.organization_id", "threads.id"],
            name="fk_responses_threads",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("id", name="uq_responses_id"),
    )
    op.create_index("ix_responses_organization_id_seq", "responses", ["organization_id", "seq"])
    op.create_index(
        "ix_responses_thread",
        "responses",
        ["organization_id", "thread_id", "seq"],
        sqlite_where=sa.text("thread_id IS NOT NULL"),
        postgresql_where=sa.text("thread_id IS NOT NULL"),
    )
    op.create_index(
        "ix_responses_unfinished",
        "responses",
        ["status"],
        sqlite_where=sa.text("status IN ('queued', 'in_progress')"),
        postgresql_where=sa.text("status IN ('queued', 'in_progress')"),
    )
