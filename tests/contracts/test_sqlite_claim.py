"""A database serves one server at a time."""

import pytest

from freddy.server.core import errors
from freddy.server.stores.sql.claim import claimed


def test_a_second_server_is_refused_and_told_what_to_do(tmp_path):
    database = tmp_path / "home" / "freddy.db"
    with claimed(database):
        with pytest.raises(errors.StorageUnavailable) as raised, claimed(database):
            pass
        assert "FREDDY_HOME" in (raised.value.details or "")


def test_a_database_is_free_again_when_its_server_has_ended(tmp_path):
    for _ in range(2):
        with claimed(tmp_path / "freddy.db"):
            pass
