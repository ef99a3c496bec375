"""What the tests install of the npm registry."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


def installed(command: Sequence[str], folder: Path, *, seconds: float) -> bool:
    """Whether npm came to its end; it does not where its registry cannot be reached."""
    # Node trusts its own list of authorities, unless it is told to trust the machine's.
    trusting = {"NODE_USE_SYSTEM_CA": "1"}
    surroundings = os.environ  # noqa: TID251 npm has its own settings there
    if "SSL_CERT_FILE" in surroundings:
        trusting["NODE_EXTRA_CA_CERTS"] = surroundings["SSL_CERT_FILE"]
    try:
        done = subprocess.run(
            command,
            check=False,
            timeout=seconds,
            cwd=folder,
            env={**trusting, **surroundings},
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
