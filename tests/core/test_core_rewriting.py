import pytest

from freddy.server.core.wording import rewritten


@pytest.mark.parametrize(
    ("question", "searched"),
    [
        ("What is our refund policy?", "refund policy"),
        ("Hello, could you please tell me what the refund policy is? Thanks!", "what the refund policy is"),
        ("When does the parcel leave the harbour?", "parcel leave the harbour"),
        ("I'd like to know how many days a refund takes", "how many days a refund takes"),
        ("I am looking for the handbook of 2024, please", "handbook of 2024"),
        ("harbour opening hours", "harbour opening hours"),
    ],
)
def test_a_question_is_searched_without_the_words_around_it(question, searched):
    assert rewritten(question) == searched


@pytest.mark.parametrize("question", ["What is it?", "Who are you?", "?", "Wann fährt das Schiff ab", "何時ですか"])
def test_what_would_have_nothing_left_or_is_asked_in_other_words_stays(question):
    assert rewritten(question) == question


@pytest.mark.parametrize("piece", ["the ", "please ", "what is ", " ", "?", ", "])
def test_a_question_that_is_nothing_but_frames_takes_a_moment(piece):
    assert rewritten(piece * 20_000) == piece * 20_000
