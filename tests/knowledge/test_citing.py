"""Marks become citations, however the model's text comes in pieces."""

import string

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freddy.server.core import deltas, items
from freddy.server.core.citing import Citing, mark

FOXES = items.Found("file_foxes", "foxes.md", 0.9, "Foxes are red and sleep in burrows during the winter months.")
OTTERS = items.Found("file_otters", "otters.md", 0.8, "Otters hold hands while they float on rivers in Scotland.")
FOUND = (FOXES, OTTERS)
STOP = deltas.Stop("stop")
UNKNOWN = "[@00001]"


def told(batch, found=FOUND):
    """The text of one part, and its citations as file and place."""
    text, cited = "", []
    for delta in batch:
        if isinstance(delta, deltas.Text):
            text += delta.text
        elif isinstance(delta, deltas.Annotated):
            data = msgspec.json.decode(delta.annotation.data)
            assert data["type"] == delta.annotation.type == "file_citation"
            assert data["filename"] == {one.file_id: one.filename for one in found}[data["file_id"]]
            cited.append((data["file_id"], data["index"]))
    return text, cited


def said(*pieces, found=FOUND):
    citing = Citing(found)
    batches = [citing.feed([deltas.Text(piece)]) for piece in pieces]
    return told([delta for batch in (*batches, citing.feed([STOP])) for delta in batch], found)


def test_a_mark_becomes_a_citation_where_it_stood():
    text, cited = said(f"Foxes are red {mark(FOXES)}. They sleep.")
    assert text == "Foxes are red. They sleep."
    assert cited == [("file_foxes", 13)]


def test_a_mark_is_the_same_for_every_passage_of_a_file_and_differs_between_files():
    assert mark(FOXES) == mark(items.Found("file_foxes", "renamed.md", 0.1, "Other words.", store_id="vs_2"))
    assert mark(FOXES) != mark(OTTERS)


def test_a_mark_that_comes_in_single_characters_never_reaches_the_caller():
    assert said(*f"Red {mark(FOXES)} and wet{mark(OTTERS)}.") == (
        "Red and wet.",
        [("file_foxes", 3), ("file_otters", 11)],
    )


def test_marks_in_a_row_cite_each_file_once():
    assert said("Both", mark(FOXES), mark(OTTERS), " ", mark(FOXES), ".") == (
        "Both.",
        [("file_foxes", 4), ("file_otters", 4)],
    )


def test_marks_that_share_brackets_or_have_other_ones_are_understood():
    foxes, otters = mark(FOXES)[1:-1], mark(OTTERS)[1:-1]
    for marks in (f"[{foxes}, {otters}]", f"【{foxes}】【{otters}】", f"({foxes}; {otters})", f"[ {foxes}{otters} ]"):
        assert said(f"Both {marks}.") == ("Both.", [("file_foxes", 4), ("file_otters", 4)])


def test_a_mark_that_nothing_has_vanishes():
    assert said(f"Red {UNKNOWN}.", " Wet.") == ("Red. Wet.", [])


def test_a_line_that_begins_with_a_mark_does_not_begin_with_a_blank():
    assert said(f"{mark(FOXES)} Red.\n{mark(OTTERS)} Wet.") == (
        "Red.\nWet.",
        [("file_foxes", 0), ("file_otters", 5)],
    )


def test_what_only_looks_like_a_mark_stays():
    for text in (
        "a[0] and (@ada) and [@x]",
        "Mail (@ home) [1] 【重要】 [¶12]",
        "[@1234] [@123456] @12345",
        "ends in (",
    ):
        assert said(*text) == (text, [])


def test_a_mark_that_was_never_finished_is_dropped_at_the_end():
    assert said("Red [@04", found=FOUND)[0] == "Red"
    assert said("Red [", found=FOUND)[0] == "Red ["


def test_text_without_marks_flows_through_at_once_and_keeps_its_logprobs():
    citing = Citing(FOUND)
    logprob = items.Logprob("Red", -0.1)
    delta = deltas.Text("Red", (logprob,))
    assert citing.feed([delta]) == [delta]
    held = deltas.Text(" (", (items.Logprob(" (", -0.2),))
    assert citing.feed([held]) == []
    after = deltas.Text("or not", (items.Logprob("or not", -0.3),))
    assert citing.feed([after]) == [held, after]


def test_no_more_is_held_back_than_a_mark_may_need():
    citing = Citing(FOUND)
    heard = sum(len(delta.text) for piece in "[ @1, " * 100 for delta in citing.feed([deltas.Text(piece)]))
    assert heard >= 600 - 90


def test_without_anything_found_nothing_is_touched():
    citing = Citing(())
    batch = [deltas.Text(f"Red {UNKNOWN}"), STOP]
    assert citing.feed(batch) == batch
    assert citing.close() == []


def test_what_is_held_back_comes_before_what_follows():
    call = deltas.ToolCall(0, "{}", "search")
    for delta in (call, deltas.Began(), deltas.Refusal("No."), deltas.Reasoning("Hm."), STOP):
        assert Citing(FOUND).feed([deltas.Text("Wait ("), delta]) == [deltas.Text("Wait"), deltas.Text(" ("), delta]


def test_pieces_of_a_call_that_has_begun_do_not_end_the_text():
    citing = Citing(FOUND)
    citing.feed([deltas.ToolCall(0, "{", "search")])
    begun = citing.feed([deltas.Text("Red"), deltas.ToolCall(0, "}"), deltas.Text(f" fox{mark(FOXES)}"), STOP])
    assert told(begun) == ("Red fox", [("file_foxes", 7)])


def test_each_part_counts_from_its_own_beginning():
    citing = Citing(FOUND)
    batch = citing.feed(
        [deltas.Text("Red."), deltas.Began(), deltas.Text(f"Wet {mark(OTTERS)}."), deltas.Refusal("No."), STOP]
    )
    assert told(batch)[1] == [("file_otters", 3)]


def test_an_answer_without_marks_cites_at_its_end_what_supports_it():
    assert said("During the winter", " foxes sleep in burrows.") == (
        "During the winter foxes sleep in burrows.",
        [("file_foxes", 41)],
    )


def test_a_short_answer_cites_what_has_all_of_its_words():
    assert said("Scotland.")[1] == [("file_otters", 9)]
    assert said("Ireland.")[1] == []


def test_an_answer_that_nothing_supports_cites_nothing():
    assert said("The documents do not say anything about the price of copper.")[1] == []
    assert said("I do not know.")[1] == []


def test_an_answer_in_a_script_without_blanks_cites_what_supports_it():
    found = (
        items.Found("file_1", "a.txt", 0.5, "狐は冬に巣穴で眠る。"),
        items.Found("file_2", "b.txt", 0.5, "川獺は手をつなぐ。"),
    )
    assert said("狐は巣穴で眠る。", found=found)[1] == [("file_1", 8)]


def test_an_answer_with_one_mark_cites_nothing_else():
    assert said(f"Otters float on rivers in Scotland {mark(FOXES)}.")[1] == [("file_foxes", 34)]


def test_words_before_a_call_are_no_answer():
    citing = Citing(FOUND)
    batch = citing.feed([deltas.Text("Foxes sleep in burrows."), deltas.ToolCall(0, "{}", "search"), STOP])
    assert told(batch)[1] == []


def test_a_turn_that_breaks_off_gives_back_what_was_held():
    citing = Citing(FOUND)
    citing.feed([deltas.Text("Red [")])
    assert told(citing.close()) == (" [", [])


FRAGMENTS = st.sampled_from(
    [
        mark(FOXES),
        mark(OTTERS),
        UNKNOWN,
        " ",
        "  ",
        "\n",
        "\t",
        "Foxes",
        "[",
        "【",
        "(",
        "@",
        "[@",
        "@1",
        "1,",
        ".",
        "狐",
    ]
) | st.text(string.ascii_letters + " .", max_size=4)


@given(st.lists(FRAGMENTS, max_size=12).map("".join), st.data())
@example("[ [@" + " " * 20, None)
def test_however_a_text_is_cut_its_words_and_citations_are_the_same(text, data):
    whole = said(text)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12))) if data else range(len(text))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert said(*pieces) == whole
    assert said(*text) == whole


@given(
    st.lists(st.sampled_from([mark(FOXES), mark(OTTERS), UNKNOWN, "Red ", " wet", ".", "\n", "狐", "  "]), max_size=12)
)
def test_no_mark_ever_reaches_the_caller_and_nothing_else_but_blanks_is_lost(pieces):
    text, cited = said(*pieces)
    assert "@" not in text
    kept = "".join(piece for piece in pieces if "@" not in piece)
    assert "".join(text.split()) == "".join(kept.split())
    assert all(0 <= index <= len(text) for _, index in cited)


@pytest.mark.parametrize("piece", ["[@12345", "[", " ", "@", "(@1,2;3 "])
def test_long_texts_take_a_time_that_grows_with_their_length_only(piece):
    text, _ = said(*([piece] * 20_000))
    assert len(text) <= 20_000 * len(piece)
