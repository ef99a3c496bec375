"""Writes the page of settings: `python -m freddy.server.config > docs/settings.md`."""

from freddy.server.config import checks
from freddy.server.config.declarations import Declared
from freddy.server.config.settings import OTHER_VARIABLES, SECTIONS, UPSTREAM_VARIABLES, declared

_HEAD = """\
# Settings

<!-- Written by `python -m freddy.server.config`; change src/freddy/server/config/settings.py instead.
-->

Everything has a default: a server needs no settings at all. A value comes from the first of these that
has it:

1. a flag of the command line (`freddy serve --port 9000`);
2. an environment variable (`FREDDY_PORT=9000`); an empty one counts as not set;
3. the settings file: the one that `--config` or `FREDDY_CONFIG` names, else `./freddy.toml`, else
   `freddy.toml` in the home folder;
4. the default.

`freddy doctor` shows each value and where it came from. Settings are read once, at start. A key that
does not exist, a value of a wrong type or out of its range stops the start with a line that names the
place and the cure; a `FREDDY_` variable that does not exist is only warned of. A relative path in the
file starts at the file's folder, any other at the working folder.

```toml
# freddy.toml
[server]
port = 9000

[model]
name = "smollm2-135m"

[[upstream]]
name = "openai"
url = "https://api.openai.com/v1"
key_env = "OPENAI_API_KEY"
models = ["gpt-*"]

[aliases]
"ftg-3.0" = "gpt-4o"
```
"""

_UPSTREAMS = """\
## `[[upstream]]`

A vendor, or any OpenAI-compatible server; one such table for each.

- **`name`** (needed): how logs, metrics and `freddy doctor` call it: lower-case letters, digits and
  `._-`.
- **`vendor`**: whose ways it has: `openai`, `anthropic`, or a name out of the
  [catalog](providers-compatible.md), such as `groq`, `vllm` or `ollama`.
- **`url`**: the address before `/chat/completions`, such as `https://api.openai.com/v1`. It may be left
  out for a vendor that has one. Without `vendor`, well-known addresses tell whose they are.
- **`kind`**: the wire it speaks: `compatible` (chat completions), `openai` (the Responses API),
  `anthropic` (the Messages API), or one that an installed package brings. By default the vendor's own,
  else `compatible`.
- **`key`**: its key; never shown. Keep the file readable by its owner only.
- **`key_env`**: instead of `key`, the variable that holds it. Without either, the vendor's usual variable
  is read, such as `GROQ_API_KEY`, when `vendor` is set.
- **`headers`**: more HTTP headers for each request, such as `{ "x-team" = "search" }`.
- **`organization`**, **`project`**: whom OpenAI charges.
- **`connect_seconds`**, **`first_token_seconds`**, **`idle_seconds`**, **`total_seconds`**: instead of
  those of `[timeouts]`.
- **`models`**: the models that go there: names, or patterns such as `gpt-*`. Default `["*"]`: every
  model that no other upstream names. A name that several upstreams list is asked of the first of them,
  and of the next where that fails.
- **`default_model`**: the model that answers a request that names none.

One upstream, named `upstream`, can be described without a file:

"""

_MODELS = """
## `[[models]]`

A model as callers name it, when there is more to say than which upstream has it: several candidates, or
facts that the server does not know.

```toml
[[models]]
name = "gpt-4o"
candidates = [
    { upstream = "azure-eu", model = "gpt-4o-prod", weight = 3 },
    { upstream = "azure-us", model = "gpt-4o-prod" },
    { upstream = "openai", model = "gpt-4o", order = 1 },
]
price = { input = 2.5, output = 10, cached = 1.25 }
```

- **`name`** (needed): what callers ask for.
- **`candidates`** (needed): who may answer. Those with the lowest `order` (default 0) are asked first; among
  them each gets a share of the requests by its `weight` (default 1), and requests of one thread go to the
  same one, which has its beginning cached. Where one fails, the next is asked; see
  [routing](routing.md).
- **`description`**, **`context_tokens`**, **`output_tokens`**, **`tools`**, **`parallel_tool_calls`**,
  **`images`**, **`image_urls`**, **`audio`**, **`files`**, **`reasoning`**, **`sampling`**, **`schemas`**,
  **`json`**, **`max_temperature`**: facts about the model. `schemas` and `json` say that the upstream
  guarantees answers of that form.
- **`price`**: US dollars for a million tokens: `input`, `output`, `cached`, `cache_write`.
"""

_PROGRAMS = """
## `[mcp.programs.NAME]`

A program that speaks the Model Context Protocol over its stdin and stdout; one such table for each. Only who runs the
server can name programs: callers use them through an MCP configuration that has the program's name.

```toml
[mcp.programs.notes]
command = ["npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv/notes"]
environment = { NOTES_TOKEN = "..." }
folder = "/srv/notes"
```

- **`command`** (needed): the program and its arguments. Each organization that uses it gets a process of its own,
  with the rights of this server.
- **`environment`**: variables for it; never shown. Of this server's own it gets only `HOME`, `LOGNAME`, `PATH`,
  `SHELL`, `TERM` and `USER`.
- **`folder`**: where it runs. By default where this server does.
"""

_ALIASES = """
## `[aliases]`

A model's name as callers say it, and the name of the model that answers: `"gpt-4o" = "qwen2.5-coder-0.5b"`.
"""


def page() -> str:
    everything = tuple(declared())
    parts = [_HEAD, "## Home\n", *(_entry(one) for one in everything if not one.table)]
    for table, section in SECTIONS.items():
        parts.append(f"## `[{table}]`\n\n{section.__doc__}\n")
        parts += [_entry(one) for one in everything if one.table == table]
    parts += [_UPSTREAMS + _variables(UPSTREAM_VARIABLES), _MODELS, _PROGRAMS, _ALIASES]
    parts.append("## Other variables\n\n" + _variables(OTHER_VARIABLES))
    return "\n".join(parts)


def _entry(one: Declared) -> str:
    setting = one.setting
    secret = " Never shown." if setting.secret else ""
    kind = checks.want(one)
    return (
        f"### `{one.key}`\n\n{setting.help}{secret}\n\n"
        f"Variable `{setting.variable}` · {kind} · default {setting.shown or _default(one.default)}\n"
    )


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:.10g}`" if isinstance(value, float) else f"`{value}`"


def _variables(variables: dict[str, str]) -> str:
    return "".join(f"- `{name}`: {text}\n" for name, text in variables.items())
