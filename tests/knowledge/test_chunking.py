"""A text is cut at its joints, never too long, and nothing of it is lost."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freddy.server.core.vector_stores import Chunking
from freddy.server.knowledge import chunking
from freddy.server.knowledge.chunking import cut, form_of, tokens, windows

SMALL = Chunking(100, 40)
FORMS = st.sampled_from(["prose", "lines", "rows"])
LINES = st.sampled_from(
    [
        "# Heading", "## Another one", "Title\n=====", "[Page 2]", "[Sheet Prices]", "```", "~~~", "| a | b |",
        "|---|---|",
        "- item", "1. first", "", "   ", "\t", "A sentence. And another one! 也许。", "words without an end", "x" * 700,
        'name,"quoted, with\nbreaks",3', '"never closed', "def f():", "    return 1", "日本語の文章。" * 40,
        "e.g. this. Dr. Who.",
        "🦊" * 50, "\u202e\u0301", "\r", "mixed Ωμέγα текст",
    ]
)  # fmt: skip
TEXTS = st.lists(LINES, max_size=30).map("\n".join) | st.text(max_size=400)
SIZES = st.tuples(st.integers(100, 400), st.integers(0, 200)).map(
    lambda pair: Chunking(pair[0], min(pair[1], pair[0] // 2))
)


def paragraphs(count: int, words: int = 30) -> str:
    return "\n\n".join(
        f"Paragraph {number} " + " ".join(f"word{place}" for place in range(words)) + "." for number in range(count)
    )


@given(TEXTS, SIZES, FORMS)
def test_nothing_of_a_text_is_lost_and_the_order_stays(text, sizes, form):
    cuts = cut(text, sizes, form)
    covered = 0
    for one in cuts:
        assert one.start <= max(covered, one.start)
        assert not text[covered : one.start].strip()
        assert one.end > covered
        covered = one.end
        body = one.text.removeprefix(one.context).strip()
        assert body == text[one.start : one.end].strip()
    assert not text[covered:].strip()


@given(TEXTS, SIZES, FORMS)
def test_no_chunk_is_longer_than_asked(text, sizes, form):
    for one in cut(text, sizes, form):
        assert one.tokens <= sizes.tokens + 1
        # Pieces that are put together are counted a little differently than apart.
        assert tokens(one.text) <= sizes.tokens * 1.05 + 2


@given(TEXTS, SIZES, FORMS)
def test_chunks_overlap_by_no_more_than_asked(text, sizes, form):
    cuts = cut(text, sizes, form)
    for before, after in pairwise(cuts):
        assert tokens(text[after.start : before.end]) <= sizes.overlap * 1.05 + 2


def test_chunks_overlap_in_whole_sentences():
    text = " ".join(f"This is sentence number {number} of a long text." for number in range(200))
    cuts = cut(text, Chunking(100, 50))
    assert len(cuts) > 10
    for before, after in pairwise(cuts):
        assert after.text.startswith("This is sentence")
        assert before.text.endswith("of a long text.")
        assert 25 <= tokens(text[after.start : before.end]) <= 50


def test_without_overlap_chunks_stand_side_by_side():
    cuts = cut(paragraphs(40), Chunking(100, 0))
    assert all(before.end == after.start for before, after in pairwise(cuts))


def test_paragraphs_are_kept_whole_where_they_fit():
    cuts = cut(paragraphs(40), Chunking(200, 0))
    assert all(one.text.startswith("Paragraph") and one.text.endswith(".") for one in cuts)
    assert len(cuts) < 40


def test_a_heading_stays_with_what_stands_under_it_and_is_told_again():
    text = "# Guide\n\n" + paragraphs(4) + "\n\n## Install\n\n" + paragraphs(8)
    cuts = cut(text, Chunking(150, 0))
    assert not any(one.text.endswith(("# Guide", "## Install")) for one in cuts)
    assert cuts[0].context == ""
    under = [one for one in cuts if one.start > text.index("## Install")]
    assert under
    assert all(one.text.startswith("# Guide\n## Install\nParagraph") for one in under)


def test_headings_that_are_underlined_are_headings():
    text = "Guide\n=====\n\nInstall\n-------\n\n" + paragraphs(8)
    assert cut(text, Chunking(150, 0))[-1].context == "Guide\nInstall"


def test_what_is_too_long_is_not_told_again():
    text = "# " + "very " * 100 + "long\n\n" + paragraphs(12)
    assert {one.context for one in cut(text, Chunking(150, 0))} == {""}


def test_a_chunk_says_on_which_page_it_begins():
    text = "[Page 1]\n" + paragraphs(8) + "\n\n[Page 2]\n" + paragraphs(8)
    cuts = cut(text, Chunking(150, 0))
    assert all(one.text.startswith("[Page ") for one in cuts)
    second = [one for one in cuts if one.start > text.index("[Page 2]")]
    assert all(one.context == "[Page 2]" for one in second)
    assert not any(one.text.endswith("[Page 2]") for one in cuts)


def test_a_table_is_cut_between_rows_and_its_head_is_repeated():
    text = "name,price\n" + "".join(f"product {number},{number}.50\n" for number in range(200))
    cuts = cut(text, Chunking(100, 0), "rows")
    assert len(cuts) > 5
    assert all(one.text.startswith("name,price\nproduct") for one in cuts)
    assert all(one.text.endswith(".50") for one in cuts)


def test_a_row_whose_fields_have_line_breaks_stays_whole():
    text = "name,note\n" + "".join(f'product {number},"first line\nsecond line"\n' for number in range(50))
    assert all(one.text.endswith('second line"') for one in cut(text, Chunking(100, 0), "rows"))


def test_each_sheet_has_its_own_head():
    rows = "".join(f"{number} | {number * 2}\n" for number in range(100))
    text = f"[Sheet Prices]\nproduct | price\n{rows}\n[Sheet Stock]\nproduct | count\n{rows}"
    contexts = {one.context for one in cut(text, Chunking(100, 0), "rows")}
    assert contexts == {"", "[Sheet Prices]\nproduct | price", "[Sheet Stock]\nproduct | count"}


def test_the_head_of_a_markdown_table_is_repeated():
    text = "| product | price |\n|---|---|\n" + "".join(f"| thing {number} | {number} |\n" for number in range(100))
    cuts = cut(text, Chunking(100, 0))
    assert len(cuts) > 3
    assert all(one.text.startswith("| product | price |\n|---|---|\n| thing") for one in cuts)


def test_code_is_cut_between_functions_and_never_within_a_line():
    text = "\n\n\n".join(
        f"def function_{number}(argument):\n    first = argument + {number}\n    return first * 2"
        for number in range(40)
    )
    cuts = cut(text, Chunking(150, 0), "lines")
    assert len(cuts) > 5
    assert all(one.text.startswith("def function_") and one.text.endswith("return first * 2") for one in cuts)


def test_a_block_of_code_in_prose_is_kept_whole_where_it_fits():
    block = "```python\n# not a heading\n" + "\n".join(f"call({number})" for number in range(12)) + "\n```"
    text = "\n\n".join([paragraphs(3), block, paragraphs(3)])
    cuts = cut(text, Chunking(150, 0))
    assert any(block in one.text for one in cuts)
    assert {one.context for one in cuts} == {""}


@pytest.mark.parametrize(
    ("media_type", "filename", "form"),
    [
        ("application/pdf", "a.pdf", "prose"),
        ("text/markdown", "README.md", "prose"),
        ("text/plain", "notes.txt", "prose"),
        ("text/plain", "notes", "prose"),
        ("text/plain", "notes.of.today", "prose"),
        ("text/plain", "manual.rst", "prose"),
        ("text/html", "page.html", "prose"),
        ("text/plain", "main.rs", "lines"),
        ("text/x-python", "main.py", "lines"),
        ("application/json", "data.json", "lines"),
        ("text/csv", "data.csv", "rows"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "a.xlsx", "rows"),
    ],
)
def test_what_a_text_is_made_of_is_told_by_its_type_and_name(media_type, filename, form):
    assert form_of(media_type, filename) == form


@given(TEXTS, st.integers(20, 300))
def test_windows_are_the_text_in_parts_that_an_embedder_can_read(text, most):
    parts = windows(text, most)
    assert "".join(parts) == text
    assert all(tokens(part) <= most + 1 for part in parts)


def test_windows_are_of_about_the_same_size():
    sizes = [tokens(part) for part in windows(paragraphs(20), 256)]
    assert len(sizes) > 2
    assert min(sizes) > max(sizes) / 2


def test_tokens_are_about_those_of_models():
    assert 8 <= tokens("The quick brown fox jumps over the lazy dog.") <= 12
    assert tokens("") == tokens("  \n ") == 0
    assert 4 <= tokens("日本語の文") <= 6


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (paragraphs(400), "prose"),
        ("a" * 80_000, "prose"),
        ("a\n" * 40_000, "prose"),
        ("a\n" * 40_000, "lines"),
        ("\n" * 80_000 + "x", "prose"),
        (" " * 80_000 + "x", "prose"),
        ('"' * 80_000, "rows"),
        ('"\n' * 40_000, "rows"),
        ("-" * 80_000, "prose"),
        ("| - " * 20_000, "prose"),
        ("lower case\n" * 8_000, "prose"),
        ("." * 80_000, "prose"),
        ('. "' * 25_000, "prose"),
        ("```\n" * 20_000, "prose"),
        ("# a\n" * 20_000, "prose"),
    ],
    ids=range(15),
)
def test_the_time_grows_with_the_length_and_no_faster(text, form):
    def taken(text: str) -> float:
        began = time.process_time()
        cut(text, Chunking(), form)
        return time.process_time() - began

    once = min(taken(text) for _ in range(2))
    # Eight times as much would take 64 times as long, did it grow with the square.
    assert taken(text * 8) < 24 * once + 0.5


def test_chunking_is_pure():
    text = paragraphs(50)
    assert cut(text, SMALL) == cut(text, SMALL)
    assert chunking.cut("", SMALL) == chunking.cut(" \n\t ", SMALL) == []
