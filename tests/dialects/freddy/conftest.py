"""What the tests of this dialect share: the published examples, ids that can be told in advance."""

from collections import Counter
from pathlib import Path

import pytest

from freddy.server.core.ids import NewId

EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture
def new_id() -> NewId:
    counts: Counter[str] = Counter()

    def count(prefix: str) -> str:
        counts[prefix] += 1
        return f"{prefix}_{counts[prefix]}"

    return count
