"""How the text of a rule is made shorter: the same every time, and never through a sentence or a block of code."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freddy.server.core.shortening import shorten

TEXT = """# House rules

You are **always** formal (see the [guide](https://example.com/guide)).  Use `foo( )` and e.g. Python for it. \
This is background that matters little (for most readers).

- Never promise delivery dates. For example, do not say "on Monday".
- Cite sources.

Examples:

```python
if a:   b()
```

1. Write short sentences! Nobody reads long ones.
"""
FENCE = "```python\nif a:   b()\n```"


def test_what_fits_stays_as_it_is():
    assert shorten(TEXT, 1_000) == TEXT.strip()


@pytest.mark.parametrize(
    ("most", "gone", "there"),
    [
        (357, ("  Use",), ("**always**", FENCE, "`foo( )`")),
        (330, ("**", "https:", "# "), ("always formal (see the guide)", FENCE, "`foo( )`")),
        (250, ("(see", "For example", "Examples", "```"), ("e.g. Python", "Nobody reads long ones.", "`foo( )`")),
        (150, ("Nobody", "background"), ("- Never promise delivery dates.", "1. Write short sentences!")),
        (60, ("background", "Cite"), ("You are always formal.", "- Never promise delivery dates.")),
    ],
)
def test_it_loses_blanks_then_decoration_then_asides_then_sentences(most: int, gone: tuple[str], there: tuple[str]):
    short = shorten(TEXT, most)
    assert short is not None
    assert len(short) <= most
    assert [each for each in gone if each in short] == []
    assert [each for each in there if each not in short] == []


def test_what_has_no_sentence_so_short_is_not_cut():
    assert shorten("This sentence says one thing and says it at some length", 20) is None
    assert shorten("```\n" + "x" * 50 + "\n```", 20) is None
    assert shorten("", 20) is None
    assert shorten("   \n", 1) is None


def test_orders_matter_more_than_what_explains_them():
    text = "It was decided long ago in this house. You must never name a customer. That has good reasons, of course."
    assert shorten(text, 40) == "You must never name a customer."


def test_an_aside_that_says_not_stays():
    text = "Answer in German (never in French) at all times. " + "Some people like that very much. " * 3
    short = shorten(text, 60)
    assert short == "Answer in German (never in French) at all times."


def test_a_block_of_code_stays_whole_or_goes():
    text = f"Use this form, always.\n\n{FENCE}\n\n" + "It is known to be good. " * 10
    for most in range(20, len(text)):
        short = shorten(text, most) or ""
        assert len(short) <= most
        assert FENCE in short or "`" not in short


def test_a_block_that_is_never_closed_goes_to_the_end():
    text = "Do it so.\n```\nfirst. Second. Third.\n\nFourth."
    assert shorten(text, 20) == "Do it so."


def test_scripts_without_blanks_have_sentences_too():
    assert shorten("必须用中文回答。不要提到客户的名字。这是很久以前决定的。", 10) == "必须用中文回答。"


@given(st.text(alphabet=st.sampled_from("Aa .!?\n`*_()[]#->1。e.g"), max_size=400), st.integers(1, 300))
def test_it_is_as_short_as_it_should_be_and_the_same_every_time(text: str, most: int):
    short = shorten(text, most)
    assert short is None or 0 < len(short) <= most
    assert shorten(text, most) == short


@given(
    st.lists(st.sampled_from(["Do this.", "Never do that!", "Is it so?", "It is.", "- A point."]), min_size=1),
    st.data(),
)
def test_only_whole_sentences_are_left(sentences: list[str], data: st.DataObject):
    text = "\n".join(sentences)
    short = shorten(text, data.draw(st.integers(1, len(text))))
    if short is not None:
        left = iter(sentences)
        assert all(line in left for line in short.split("\n"))


@pytest.mark.parametrize(
    "piece", ["**a ", "(", "[", "e.g. X ", "<!--", "# a#", ". ", "`", "` ", "```\n", "\n", " ", ".)", ".'", "- ", "。"]
)
def test_no_text_takes_long(piece: str):
    began = time.process_time()
    shorten((piece * 50_000)[:50_000], 1_000)
    assert time.process_time() - began < 10
