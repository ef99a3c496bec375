"""The look of the pages, and the frame around them. Nothing is fetched: the machine may be offline."""

from html import escape

CSS = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60666e; --line: #dfe3e8; --back: #fff;
  --wash: #f5f7f9; --link: #0a58ca; --get: #0b6e4f; --post: #9a3b00; --patch: #6b4fa0; --delete: #b3261e;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --soft: #9aa3ad; --line: #343a41; --back: #15181c;
    --wash: #1d2126; --link: #79b0ff; --get: #5cc8a1; --post: #ffa06b; --patch: #bda6f0; --delete: #ff8d85; }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--back); }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus { text-decoration: underline; }
code, pre { font: 0.875em/1.5 var(--mono); }
code { background: var(--wash); border-radius: 3px; padding: 0.1em 0.3em; overflow-wrap: anywhere; }
pre { background: var(--wash); border: 1px solid var(--line); border-radius: 6px; padding: 0.8rem;
  overflow: auto; max-height: 32rem; }
pre code { background: none; padding: 0; overflow-wrap: normal; font-size: inherit; }
h1 { font-size: 1.7rem; margin: 0 0 0.5rem; }
h2 { font-size: 1.35rem; margin: 3rem 0 0.5rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 2.2rem 0 0.4rem; }
h4 { font-size: 0.9rem; margin: 1rem 0 0.3rem; color: var(--soft); }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0 1rem; font-size: 0.92rem; }
th, td { text-align: left; vertical-align: top; padding: 0.35rem 0.6rem; }
th, td { border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td:first-child { min-width: 11rem; }
td ul { margin: 0.3rem 0 0; padding-left: 1.2rem; }
summary { cursor: pointer; color: var(--link); }
.soft { color: var(--soft); }
.needed { color: var(--delete); font-size: 0.8rem; }
.method { display: inline-block; min-width: 4.2em; font: 700 0.8rem/1.5 var(--mono); }
.get { color: var(--get); }
.post { color: var(--post); }
.patch { color: var(--patch); }
.delete { color: var(--delete); }
.scroll { overflow-x: auto; }
.plain { max-width: 46rem; margin: 0 auto; padding: 2.5rem 1.2rem; }
.split { display: grid; grid-template-columns: 19rem minmax(0, 1fr); }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.2rem; font-size: 0.86rem;
  border-right: 1px solid var(--line); }
nav ul { list-style: none; margin: 0.2rem 0 1rem; padding: 0; }
nav li { padding: 0.1rem 0; overflow-wrap: anywhere; }
.split main { padding: 1.5rem 2rem 6rem; max-width: 64rem; }
@media (max-width: 55rem) {
  .split { display: block; }
  nav { position: static; height: auto; max-height: 40vh; border-right: 0;
    border-bottom: 1px solid var(--line); }
  .split main { padding: 1.2rem; }
}
"""


def page(title: str, body: str) -> bytes:
    """A whole page; `body` is HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>{CSS}</style>\n</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    ).encode()
