"""What is kept: every table, described once for all databases."""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("deleted_at", sa.BigInteger),
    sa.Column("data", sa.Text, nullable=False),
)

# `organization_ids` are all that the key reaches, `organization_id` the one that it implies and that lists it.
api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("organization_ids", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("revoked_at", sa.BigInteger),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index(None, "organization_id", "created_at", "id"),
)

# `data` of users, organizations and keys is the JSON of what is never asked for alone.
users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    sa.Column("password", sa.Text),
    sa.Column("issuer", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("deactivated_at", sa.BigInteger),
    sa.Column("data", sa.Text, nullable=False),
    sa.UniqueConstraint("issuer", "subject"),
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Index(None, "user_id"),
)

# A session is one sign-in. `digest` is that of its newest refresh token, `previous` that of the one before.
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("previous", sa.LargeBinary),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("refreshed_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
    sa.Index(None, "user_id"),
    sa.Index(None, "expires_at"),
)

# Offers to become a member, for one who has the secret whose digest this is.
invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("invited_by", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("accepted_at", sa.BigInteger),
    sa.Index(None, "organization_id", "created_at"),
)

# What people with rights over an organization changed. `changes` is JSON and holds no secret.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor_type", sa.Text, nullable=False),
    sa.Column("actor_id", sa.Text),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("resource_type", sa.Text, nullable=False),
    sa.Column("resource_id", sa.Text, nullable=False),
    sa.Column("resource_name", sa.Text),
    sa.Column("changes", sa.Text, nullable=False),
    sa.Index(None, "organization_id", "id"),
)

# Users choose the ids of threads: the same id in two organizations is two threads.
threads = sa.Table(
    "threads",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
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
    sa.Index(None, "organization_id", "created_at", "id"),
)
PINNED = threads.c.pinned_at.is_not(None)
sa.Index(
    "ix_threads_pinned",
    threads.c.organization_id,
    threads.c.pinned_at,
    threads.c.id,
    sqlite_where=PINNED,
    postgresql_where=PINNED,
)
OWNED = threads.c.user_id.is_not(None)
sa.Index(
    "ix_threads_user",
    threads.c.organization_id,
    threads.c.user_id,
    threads.c.created_at,
    threads.c.id,
    sqlite_where=OWNED,
    postgresql_where=OWNED,
)

# What was added to a thread, in the order in which it was: a response that succeeded, or items put there by hand.
# `place` counts from 1, up to the thread's `places`; `owner_id` is what the items name.
entries = sa.Table(
    "entries",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("thread_id", sa.Text, primary_key=True),
    sa.Column("place", sa.BigInteger, primary_key=True),
    sa.Column("owner_id", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.ForeignKeyConstraint(
        ["organization_id", "thread_id"], ["threads.organization_id", "threads.id"], ondelete="CASCADE"
    ),
    sa.Index(None, "owner_id", "organization_id", "thread_id"),
)

# Pairs of the metadata of threads and responses, to find them by. `id` is that of the thread or response.
labels = sa.Table(
    "labels",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Index(None, "organization_id", "kind", "id"),
)

# `seq` is the order in which responses began. `request` is the JSON of the core request with an empty input
# (the input is in `items`), `outcome` that of `rows.Outcome`. `performer` is the worker that makes a response of which
# there is no row in `runs`: nobody else goes on with it.
responses = sa.Table(
    "responses",
    metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
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
    sa.Column("performer", sa.Text),
    sa.ForeignKeyConstraint(
        ["organization_id", "thread_id"], ["threads.organization_id", "threads.id"], ondelete="CASCADE"
    ),
    sa.Index(None, "organization_id", "seq"),
)
THREADED = responses.c.thread_id.is_not(None)
# Written out, because SQLite uses a partial index only where a query repeats its condition in so many words.
UNFINISHED = sa.text("status IN ('queued', 'in_progress')")
sa.Index(
    "ix_responses_thread",
    responses.c.organization_id,
    responses.c.thread_id,
    responses.c.seq,
    sqlite_where=THREADED,
    postgresql_where=THREADED,
)
sa.Index("ix_responses_unfinished", responses.c.status, sqlite_where=UNFINISHED, postgresql_where=UNFINISHED)

# Runs that any worker may perform. `seq` is that of the response: the order in which they were queued. `fence` counts
# the claims; whoever made the last one has the run while `worker_id` names it, and made the end where there is one.
# `plan` is null from then on. It comes last: what SQLite does not read of a long row costs nothing.
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("response_id", sa.Text, sa.ForeignKey("responses.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("worker_id", sa.Text),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("losses", sa.BigInteger, nullable=False),
    sa.Column("stop", sa.Text),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("plan", sa.LargeBinary),
)
# Written out for the reason that `UNFINISHED` is.
QUEUED = sa.text("worker_id IS NULL AND ended_at IS NULL")
PERFORMED = sa.text("worker_id IS NOT NULL AND ended_at IS NULL")
OVER = sa.text("ended_at IS NOT NULL")
sa.Index("ix_runs_queued", runs.c.seq, sqlite_where=QUEUED, postgresql_where=QUEUED)
sa.Index("ix_runs_performed", runs.c.worker_id, sqlite_where=PERFORMED, postgresql_where=PERFORMED)
sa.Index("ix_runs_over", runs.c.ended_at, sqlite_where=OVER, postgresql_where=OVER)

# What happened in a run, in batches. `fence` is that of the claim with which a batch was written; the rest is
# `ports.runs.Entry`.
run_log = sa.Table(
    "run_log",
    metadata,
    sa.Column("response_id", sa.Text, sa.ForeignKey("runs.response_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("place", sa.BigInteger, primary_key=True),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("told", sa.BigInteger, nullable=False),
    sa.Column("events", sa.LargeBinary, nullable=False),
)

# Processes that live, and how often their hearts have beaten.
workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("beats", sa.BigInteger, nullable=False),
)

# `owner_id` is a response or an entry put into a thread by hand. `direction` is `in` or `out`; `position` counts from
# 0 in each. `data` is the JSON of the core item. What is `hidden` was edited away or branched off: its response still
# has it, its thread does not.
items = sa.Table(
    "items",
    metadata,
    sa.Column("owner_id", sa.Text, primary_key=True),
    sa.Column("direction", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("hidden", sa.Boolean, nullable=False),
    sa.Index(None, "id"),
)

# Configured things: assistants, rules, prompts. `data` is the JSON of the kind's own struct; `version` counts from 1.
records = sa.Table(
    "records",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Index(None, "organization_id", "kind", "created_at", "id"),
)
record_versions = sa.Table(
    "record_versions",
    metadata,
    sa.Column("id", sa.Text, sa.ForeignKey("records.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
)

# Which rule is attached to what: an assistant, a user, a model, a vector store, an organization.
attachments = sa.Table(
    "attachments",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("rule_id", sa.Text, sa.ForeignKey("records.id", ondelete="CASCADE"), nullable=False),
    sa.Column("entity_type", sa.Text, nullable=False),
    sa.Column("entity_id", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("character_limit", sa.Integer),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.UniqueConstraint("rule_id", "entity_type", "entity_id"),
    sa.Index(None, "organization_id", "entity_type", "entity_id"),
)

# One row for each call of a model or a tool. `cost` is in billionths of a US dollar, null where no price is known.
# `place` counts the calls of a response from 0: a write that is repeated changes nothing. `summed` are those that
# `usage_sums` holds already.
usage = sa.Table(
    "usage",
    metadata,
    sa.Column("response_id", sa.Text, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
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
    sqlite_with_rowid=False,
)
UNSUMMED = sa.text("NOT summed")
sa.Index("ix_usage_unsummed", usage.c.organization_id, sqlite_where=UNSUMMED, postgresql_where=UNSUMMED)

# The same, added up by the `hour`, `day` and `month` (its `span`) that begins at `start`, in Unix seconds of UTC. Empty
# strings stand for what is not there; the spans `… of all` have no keys and users. `requests` counts responses: at the
# first of their calls.
usage_sums = sa.Table(
    "usage_sums",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("span", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True),
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("provider", sa.Text, primary_key=True),
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
    sqlite_with_rowid=False,
)

# Answers to POST requests with an idempotency key. `answer` is the body, or null where `response_id` names what
# the answer is made of again.
repeats = sa.Table(
    "repeats",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("answer", sa.LargeBinary),
    sa.Column("response_id", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Index(None, "expires_at"),
)

# Keys that organizations bring for upstreams. `sealed` is ciphertext, `hint` what people may see of the key.
provider_keys = sa.Table(
    "provider_keys",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("upstream", sa.Text, primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("hint", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)

# Ids sort by their time of birth. `orphan_blobs` are names of blobs that no file has: being written, or to be removed.
files = sa.Table(
    "files",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("key_id", sa.Text),
    sa.Index(None, "organization_id", "id"),
)
EXPIRING = files.c.expires_at.is_not(None)
sa.Index("ix_files_expires_at", files.c.expires_at, sqlite_where=EXPIRING, postgresql_where=EXPIRING)
orphan_blobs = sa.Table("orphan_blobs", metadata, sa.Column("name", sa.Text, primary_key=True))

# Who answered a request for approval: the response that went on with it.
approval_claims = sa.Table(
    "approval_claims",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("response_id", sa.Text, nullable=False),
    sa.Column("approve", sa.Boolean, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

# `number` stands for the store in the tables of its chunks. `version` grows whenever something else can be found in
# it than before. `bytes`, `chunks` and the counts are sums over its files. One that is `deleted` is there for nobody;
# its row goes when the last of its chunks has gone.
vector_stores = sa.Table(
    "vector_stores",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("access_mode", sa.Text, nullable=False),
    sa.Column("embedder", sa.Text, nullable=False),
    sa.Column("dimensions", sa.Integer, nullable=False),
    sa.Column("expiry_days", sa.Integer),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("chunks", sa.BigInteger, nullable=False),
    sa.Column("in_progress", sa.Integer, nullable=False),
    sa.Column("completed", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("cancelled", sa.Integer, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sqlite_autoincrement=True,
)
STANDING = sa.text("NOT deleted")
DELETED = sa.text("deleted")
sa.Index(
    "ix_vector_stores_standing",
    vector_stores.c.organization_id,
    vector_stores.c.created_at,
    vector_stores.c.id,
    sqlite_where=STANDING,
    postgresql_where=STANDING,
)
sa.Index("ix_vector_stores_deleted", vector_stores.c.number, sqlite_where=DELETED, postgresql_where=DELETED)
PASSING = vector_stores.c.expires_at.is_not(None)
sa.Index("ix_vector_stores_expires_at", vector_stores.c.expires_at, sqlite_where=PASSING, postgresql_where=PASSING)

# `begun` tells the times apart that the file was put in line; `attempts` counts how often somebody took it since then,
# and `leased_until` is how long it is theirs.
vector_store_files = sa.Table(
    "vector_store_files",
    metadata,
    sa.Column("store_id", sa.Text, primary_key=True),
    sa.Column("file_id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attributes", sa.Text, nullable=False),
    sa.Column("chunk_tokens", sa.Integer, nullable=False),
    sa.Column("overlap_tokens", sa.Integer, nullable=False),
    sa.Column("batch_id", sa.Text),
    sa.Column("failure_code", sa.Text),
    sa.Column("failure_message", sa.Text),
    sa.Column("progress", sa.Float, nullable=False),
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("begun", sa.BigInteger, nullable=False),
    sa.Column("leased_until", sa.BigInteger, nullable=False),
    sa.Index(None, "store_id", "created_at", "file_id"),
    sa.Index(None, "organization_id", "file_id"),
)
WAITING = sa.text("status = 'in_progress'")
sa.Index(
    "ix_vector_store_files_waiting",
    vector_store_files.c.created_at,
    vector_store_files.c.file_id,
    sqlite_where=WAITING,
    postgresql_where=WAITING,
)
BATCHED = vector_store_files.c.batch_id.is_not(None)
sa.Index(
    "ix_vector_store_files_batch_id",
    vector_store_files.c.batch_id,
    sqlite_where=BATCHED,
    postgresql_where=BATCHED,
)
vector_store_batches = sa.Table(
    "vector_store_batches",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("store_id", sa.Text, nullable=False),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("cancelled", sa.Boolean, nullable=False),
    sa.Index(None, "store_id"),
)

# Up to 256 chunks of a file, which were written together, see `segments`. Those of a completed file whose `begun` and
# `attempt` are the file's are found, all others are in nobody's way. `store` is the number of the store;
# `lengths` are the words of each chunk, as little-endian 32-bit numbers. What is `dead` is about to be removed.
vector_segments = sa.Table(
    "vector_segments",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("store", sa.BigInteger, nullable=False),
    sa.Column("file_id", sa.Text, nullable=False),
    sa.Column("begun", sa.BigInteger, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("lengths", sa.LargeBinary, nullable=False),
    sa.Column("dead", sa.Boolean, nullable=False),
    sa.Index(None, "store", "file_id"),
    # What is in memory goes by the number: it is never given again.
    sqlite_autoincrement=True,
)
DEAD = sa.text("dead")
sa.Index("ix_vector_segments_dead", vector_segments.c.number, sqlite_where=DEAD, postgresql_where=DEAD)

# The vectors of a segment one behind the other: a row that is changed is written again as a whole, these never are.
vector_blobs = sa.Table(
    "vector_blobs",
    metadata,
    sa.Column("segment", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("vectors", sa.LargeBinary, nullable=False),
)
# `id` is the segment times 256, and the chunk's offset in it.
vector_chunks = sa.Table(
    "vector_chunks",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("segment", sa.BigInteger, nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("tokens", sa.Integer, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)
# In which chunks of a segment a word is: little-endian 16-bit numbers, each the offset times 256 and how often it is
# there, up to 255.
vector_words = sa.Table(
    "vector_words",
    metadata,
    sa.Column("store", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("word", sa.Text, primary_key=True),
    sa.Column("segment", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("postings", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Events on their way to webhooks, which are records. `next_at` is when somebody may take a delivery that is pending:
# whoever has it moves that on.
webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("webhook_id", sa.Text, sa.ForeignKey("records.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("event_type", sa.Text, nullable=False),
    sa.Column("subject_id", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", sa.BigInteger, nullable=False),
    sa.Column("status_code", sa.Integer),
    sa.Column("failure", sa.Text),
    sa.Column("ended_at", sa.BigInteger),
    sa.Index(None, "webhook_id", "created_at", "event_id"),
)
UNDELIVERED = sa.text("status = 'pending'")
sa.Index(
    "ix_webhook_deliveries_due",
    webhook_deliveries.c.next_at,
    sqlite_where=UNDELIVERED,
    postgresql_where=UNDELIVERED,
)
sa.Index(
    "ix_webhook_deliveries_undelivered",
    webhook_deliveries.c.webhook_id,
    webhook_deliveries.c.next_at,
    sqlite_where=UNDELIVERED,
    postgresql_where=UNDELIVERED,
)
DELIVERY_OVER = webhook_deliveries.c.ended_at.is_not(None)
sa.Index(
    "ix_webhook_deliveries_ended_at",
    webhook_deliveries.c.ended_at,
    sqlite_where=DELIVERY_OVER,
    postgresql_where=DELIVERY_OVER,
)
sa.Index(
    "ix_webhook_deliveries_over",
    webhook_deliveries.c.webhook_id,
    webhook_deliveries.c.status,
    webhook_deliveries.c.ended_at,
    sqlite_where=DELIVERY_OVER,
    postgresql_where=DELIVERY_OVER,
)
