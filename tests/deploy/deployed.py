"""What files for deployment may name: commands, variables and paths that there are."""

import argparse
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from freddy.server import cli
from freddy.server.config.settings import OTHER_VARIABLES, UPSTREAM_VARIABLES, declared
from freddy.server.http.openapi import OPERATIONS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KNOWN = {one.setting.variable for one in declared()} | UPSTREAM_VARIABLES.keys() | OTHER_VARIABLES.keys()


def accepted(words: Sequence[str]) -> argparse.Namespace:
    """Words after `freddy`; fails where it would say how it is used instead."""
    try:
        return cli._parser().parse_args(list(words))
    except SystemExit:
        raise AssertionError(f"freddy does not take {words}") from None


def check_variables(names: Iterable[str]) -> None:
    unknown = [name for name in names if name.startswith("FREDDY_") and name not in KNOWN]
    assert not unknown, f"no setting has {unknown}"


def routes() -> set[str]:
    return {one.path for one in OPERATIONS}


def named(text: str) -> set[str]:
    """The variables that a text names. `FREDDY_` alone and beginnings such as `FREDDY_FILES_` are none."""
    return {name for name in re.findall(r"\bFREDDY_[A-Z0-9_]+", text) if not name.endswith("_")}
