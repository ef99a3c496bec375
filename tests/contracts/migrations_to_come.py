"""Migrations of a version to come: this version's, and one more."""

from pathlib import Path

from freddy.server.stores.sql import schema

COMING = f"{int(schema.HEAD) + 1:04}"
_NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "{COMING}"
down_revision = "{schema.HEAD}"


def upgrade() -> None:
    op.add_column("threads", sa.Column("colour", sa.Text))
    {{more}}
"""


def make_migrations(folder: Path) -> Path:
    """The folder, filled."""
    (folder / "versions").mkdir(parents=True)
    for found in (schema.MIGRATIONS / "env.py", *(schema.MIGRATIONS / "versions").glob("*.py")):
        (folder / found.relative_to(schema.MIGRATIONS)).write_text(found.read_text())
    _last(folder).write_text(_NEXT.format(more=""))
    return folder


def break_migration(folder: Path) -> None:
    """Lets the last migration fail at its end."""
    _last(folder).write_text(_NEXT.format(more='raise RuntimeError("no")'))


def _last(folder: Path) -> Path:
    return folder / "versions" / f"{COMING}_next.py"
