"""The command line: what can be said. What a command does is in a module that is loaded when it is called."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from freddy.server.cli import terminal

INSTALL = "pip install 'freddy-gateway[server,embedded]'"
INTERRUPTED = 130
_ROLES = ("owner", "admin", "member", "viewer")

_ABOUT = """\
A self-hosted model-response API.

  freddy serve                      start the server; it prints a ready key and a first call
  freddy worker                     perform what servers have accepted in the background, beside them
  freddy ask "Why is the sky blue?" ask it something
  freddy keys create my-app         make an API key
  freddy users create EMAIL --owner make a user, who signs in with a password
  freddy providers set openai       bring an organization's own key for an upstream
  freddy models pull                get the default model now
  freddy db backup FILE             copy the database while the server runs
  freddy doctor                     see every setting, and what is missing"""
_MORE = """\
`freddy COMMAND --help` tells more. Settings come from flags, FREDDY_* variables, freddy.toml and defaults,
in this order; `freddy doctor` shows each one and where it came from."""


def run(arguments: Sequence[str]) -> int:
    """The exit code: 0 done, 1 failed, 2 wrong use or settings, 130 interrupted."""
    parsed = _parser().parse_args(arguments)
    if not hasattr(parsed, "command"):
        _parser().print_help()
        return 0
    try:
        return _command(parsed)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe left, as `head` does. Python must not complain again at exit.
        terminal.abandon_stdout()
        return 1


def _command(parsed: argparse.Namespace) -> int:
    try:
        code: int = importlib.import_module(parsed.module).run(parsed)
        sys.stdout.flush()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "freddy":
            raise
        terminal.fail(f"freddy {parsed.command} needs the server, and {error.name!r} is missing: {INSTALL}")
        return 1
    except Exception as error:
        # The settings' error cannot be named here: without the server it cannot be imported.
        if type(error).__name__ != "ConfigError":
            raise
        for problem in str(error).splitlines():
            terminal.fail(problem)
        return 2
    return code


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        terminal.say(f"freddy {terminal.version()}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="freddy", description=_ABOUT, epilog=_MORE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_serve(commands)
    _add_worker(commands)
    _add_ask(commands)
    _add_keys(commands)
    _add_users(commands)
    _add_organizations(commands)
    _add_providers(commands)
    _add_models(commands)
    _add_db(commands)
    _add_doctor(commands)
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    help: str,  # noqa: A002 (as argparse says it)
    example: str,
    **defaults: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"examples:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=name, **defaults)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings file (default: ./freddy.toml, then freddy.toml in the home folder)",
    )


def _add_serve(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "serve",
        "start the server",
        "  freddy serve\n"
        "  freddy serve --port 0\n"
        "  FREDDY_MODEL=none freddy serve --config /etc/freddy.toml\n"
        "  FREDDY_DATABASE=postgresql://freddy@db/freddy FREDDY_MODEL=none freddy serve --workers 4",
        module="freddy.server.cli.serve",
    )
    _add_config(parser)
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1: this machine only)")
    parser.add_argument("--port", help="port to listen on (default 8000; 0 takes any free one)")
    parser.add_argument("--workers", metavar="N", help="processes that serve, over PostgreSQL (default 1)")
    parser.add_argument("--model", help="embedded model: a name, the path of a .gguf file, or none")
    parser.add_argument("--handed", help=argparse.SUPPRESS)
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error")


def _add_worker(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "worker",
        "perform what servers have accepted in the background",
        "  FREDDY_DATABASE=postgresql://freddy@db/freddy freddy worker\n"
        "  FREDDY_METRICS_PORT=9464 freddy worker --config /etc/freddy.toml",
        module="freddy.server.cli.worker",
    )
    _add_config(parser)
    parser.add_argument("--at-once", metavar="N", help="responses performed at the same time (default 100)")
    parser.add_argument("--model", help="embedded model: a name, the path of a .gguf file, or none")
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error")


def _add_ask(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "ask",
        "ask a running server, and write the answer as it comes",
        '  freddy ask "Why is the sky blue?"\n'
        '  git diff | freddy ask "Write a commit message for this"\n'
        '  freddy ask --thread trip "What should I pack?" --json',
        module="freddy.server.cli.ask",
    )
    parser.add_argument("prompt", nargs="*", help="the question; `-` reads it from stdin; piped text is added")
    parser.add_argument("--model", help="model to ask (default: the server's)")
    parser.add_argument("--system", metavar="TEXT", help="instructions for the model")
    parser.add_argument("--thread", metavar="ID", help="thread to continue, or to begin")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="longest answer, in tokens")
    parser.add_argument("--json", action="store_true", help="write the whole response as JSON")
    _add_config(parser)


def _add_keys(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "keys",
        "make, list and revoke API keys",
        "  freddy keys create my-app --expires 30d\n"
        "  freddy keys create reader --scopes responses:read,models:read\n"
        "  freddy keys list\n"
        "  freddy keys revoke key_0193…",
        module="freddy.server.cli.keys",
    )
    _add_config(parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    create = actions.add_parser("create", help="make a key; its secret is shown once")
    create.add_argument("name", nargs="?", default="key", help="what the key is for")
    create.add_argument("--scopes", metavar="A,B", help="what the key may do (default: everything)")
    create.add_argument("--expires", metavar="TIME", help="how long it is good for: 12h, 30d, 2w (default: ever)")
    listing = actions.add_parser("list", help="show the keys, without their secrets")
    revoke = actions.add_parser("revoke", help="end a key at once")
    revoke.add_argument("key", help="the key's id, its prefix as `list` shows it, or its secret")
    for action in (create, listing, revoke):
        action.add_argument("--organization", metavar="ID", help="whose keys (default: the only organization)")
        action.add_argument("--json", action="store_true", help="write JSON")


def _add_users(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "users",
        "make, list, invite and manage users",
        "  freddy users create ann@example.com --owner\n"
        "  freddy users create bob@example.com --role viewer < password.txt\n"
        "  freddy users invite eve@example.com --role member\n"
        "  freddy users role bob@example.com admin --organization org_a\n"
        "  freddy users reset bob@example.com",
        module="freddy.server.cli.users",
    )
    _add_config(parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    create = actions.add_parser("create", help="make a user; the password is read from a prompt or from stdin")
    create.add_argument("email", help="the address to sign in with")
    create.add_argument("--name", default="", help="as people read it")
    create.add_argument("--owner", action="store_true", help="the same as --role owner")
    listing = actions.add_parser("list", help="show the users and their roles")
    invite = actions.add_parser("invite", help="make an invitation; its secret is shown once")
    invite.add_argument("email", help="whom to invite")
    role = actions.add_parser("role", help="give a user a role in an organization, or another one")
    role.add_argument("user", help="the user's id or e-mail address")
    role.add_argument("role", choices=_ROLES, help="the role")
    reset = actions.add_parser("reset", help="make a one-time secret to set a new password; it is shown once")
    deactivate = actions.add_parser("deactivate", help="end all sign-ins of a user, and refuse new ones")
    activate = actions.add_parser("activate", help="let a user sign in again")
    for action in (reset, deactivate, activate):
        action.add_argument("user", help="the user's id or e-mail address")
    for action in (create, invite):
        action.add_argument("--role", choices=_ROLES, default="member", help="what they may do (default: member)")
    for action in (create, invite, role):
        action.add_argument("--organization", metavar="ID", help="where (default: the only organization)")
    for action in (create, listing):
        action.add_argument("--json", action="store_true", help="write JSON")


def _add_organizations(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "organizations",
        "make, list, limit, delete and purge organizations",
        "  freddy organizations create Acme\n"
        "  freddy organizations list\n"
        "  freddy organizations limit org_a --requests-per-minute 600 --monthly-budget 100\n"
        "  freddy organizations delete org_a",
        module="freddy.server.cli.organizations",
    )
    _add_config(parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    create = actions.add_parser("create", help="make an organization")
    create.add_argument("name", help="as people read it")
    listing = actions.add_parser("list", help="show the organizations, deleted ones too")
    limit = actions.add_parser("limit", help="set its limits; `none` takes one away")
    for name in ("requests-per-minute", "tokens-per-minute", "concurrent-runs", "monthly-budget"):
        limit.add_argument(f"--{name}", metavar="N", help="US dollars" if name == "monthly-budget" else None)
    delete = actions.add_parser("delete", help="refuse its keys and members; what is kept of it stays")
    restore = actions.add_parser("restore", help="undo that")
    purge = actions.add_parser("purge", help="forget a deleted organization and all that is kept of it, for good")
    for action in (limit, delete, restore, purge):
        action.add_argument("id", help="the organization's id")
    for action in (create, listing, limit, delete, restore, purge):
        action.add_argument("--json", action="store_true", help="write JSON")


def _add_providers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "providers",
        "bring, list and remove an organization's own keys for upstreams",
        "  freddy providers set openai\n"
        "  freddy providers set openai --organization org_a < key.txt\n"
        "  freddy providers list --organization org_a\n"
        "  freddy providers rm openai\n"
        "  freddy providers reseal",
        module="freddy.server.cli.providers",
    )
    _add_config(parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    bring = actions.add_parser("set", help="bring a key, or another one; it is read from a prompt or from stdin")
    listing = actions.add_parser("list", help="show which upstreams have a key of the organization's own")
    remove = actions.add_parser("rm", aliases=["remove"], help="forget a key")
    for action in (bring, remove):
        action.add_argument("upstream", help="the upstream's name in the settings")
    for action in (bring, listing, remove):
        action.add_argument("--organization", metavar="ID", help="whose key (default: the only organization)")
    reseal = actions.add_parser("reseal", help="seal all kept secrets anew, with the first of FREDDY_SECRET_KEY")
    for action in (bring, listing, remove, reseal):
        action.add_argument("--json", action="store_true", help="write JSON")


def _add_db(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "db",
        "look at the database, back it up, upgrade it, and move it to another",
        "  freddy db status\n"
        "  freddy db backup freddy-backup.db\n"
        "  freddy db upgrade\n"
        "  freddy db copy --from freddy.db --to postgresql://freddy@db.example.com/freddy",
        module="freddy.server.cli.db",
    )
    _add_config(parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    status = actions.add_parser("status", help="show where the database is and whether its schema is of this version")
    status.add_argument("--json", action="store_true", help="write JSON")
    backup = actions.add_parser("backup", help="copy the SQLite database, also while the server runs")
    backup.add_argument("file", type=Path, metavar="FILE", help="where to; a file that is not there yet")
    actions.add_parser("upgrade", help="bring the schema to this version, as the next start of the server would")
    copy = actions.add_parser("copy", help="copy everything to a new database, of the same kind or of another")
    copy.add_argument("--from", dest="source", metavar="URL", help="path or address (default: that of the settings)")
    copy.add_argument("--to", dest="target", metavar="URL", required=True, help="path or address")


def _add_models(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "models",
        "show, fetch and remove models for the embedded engine",
        "  freddy models list\n"
        "  freddy models pull\n"
        "  freddy models pull qwen2.5-coder-0.5b --from ~/Downloads/model.gguf\n"
        "  freddy models rm qwen2.5-coder-0.5b",
        module="freddy.server.cli.models",
    )
    _add_config(parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    listing = actions.add_parser("list", help="show the known models and those on this machine")
    listing.add_argument("--json", action="store_true", help="write JSON")
    pull = actions.add_parser("pull", help="fetch a model; an interrupted pull goes on where it stopped")
    pull.add_argument("name", nargs="?", help="the model (default: the best known one)")
    pull.add_argument("--from", dest="file", type=Path, metavar="FILE", help="a copy of the model's file")
    remove = actions.add_parser("rm", aliases=["remove"], help="delete a model's files")
    remove.add_argument("name", help="the model")


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "doctor",
        "show every setting and where it came from, and say what is missing",
        "  freddy doctor\n  freddy doctor --json",
        module="freddy.server.cli.doctor",
    )
    _add_config(parser)
    parser.add_argument("--json", action="store_true", help="write JSON")
