"""How PostgreSQL is spoken: what the tables leave open is said here, once for statements, schema and migrations."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg, base


class ColumnTypes(base.PGTypeCompiler):
    """The types of columns; those of values are PostgreSQL's own."""

    def visit_TEXT(self, type_: sa.Text, **described: object) -> str:  # noqa: N802 — SQLAlchemy's name
        """Text is ordered by its bytes, as SQLite does: the database's own order may be that of any language."""
        said: str = super().visit_TEXT(type_, **described)
        return f'{said} COLLATE "C"' if isinstance(described.get("type_expression"), sa.Column) else said

    def visit_INTEGER(self, type_: sa.Integer, **described: object) -> str:  # noqa: N802
        """SQLite's integers have 64 bits, whatever they are called."""
        is_column = isinstance(described.get("type_expression"), sa.Column)
        return "BIGINT" if is_column else super().visit_INTEGER(type_, **described)


class _Types(ColumnTypes):
    def visit_INTEGER(self, type_: sa.Integer, **described: object) -> str:  # noqa: ARG002, N802
        return "BIGINT"


class _Definitions(base.PGDDLCompiler):
    def get_column_specification(self, column: sa.Column[int], **described: object) -> str:
        said: str = super().get_column_specification(column, **described)  # type: ignore[no-untyped-call]
        return said.replace(" SERIAL ", " BIGSERIAL ", 1)


class _Words(asyncpg.PGCompiler_asyncpg):
    """SQLite's clauses for conflicts are PostgreSQL's, but for a name of a constraint, which none of ours has."""

    def visit_on_conflict_do_nothing(self, on_conflict: Any, **described: object) -> str:  # noqa: ANN401
        on_conflict.constraint_target = None
        said: str = super().visit_on_conflict_do_nothing(on_conflict, **described)  # type: ignore[no-untyped-call]
        return said

    def visit_on_conflict_do_update(self, on_conflict: Any, **described: object) -> str:  # noqa: ANN401
        on_conflict.constraint_target = None
        said: str = super().visit_on_conflict_do_update(on_conflict, **described)  # type: ignore[no-untyped-call]
        return said


class PostgresDialect(asyncpg.dialect):
    """It writes `$1::TEXT`: asyncpg wants each value in its type, and PostgreSQL does not find each type itself."""

    statement_compiler = _Words
    type_compiler_cls = _Types
    ddl_compiler = _Definitions
    supports_statement_cache = True

    def __init__(self, **told: Any) -> None:  # noqa: ANN401 — SQLAlchemy's own
        super().__init__(**told)  # type: ignore[no-untyped-call]
