"""`freddy` and `python -m freddy`."""

import sys

from freddy.server.cli import run


def main() -> None:
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
