"""Owns which words tell what a text is about. Pure."""

import re
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_WIDE: Final = re.compile("[\u0e00-\u0eff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff]")
_SHORTEST: Final = 4
"""Letters of a word that says what a text is about; numbers always do."""
_LONG: Final = 1000
_COMMON: Final = frozenset(
    _WORD.findall(
        "about above after again also although always another answer answers because been before being below"
        " between both cannot could does doing document documents done down each either else even ever every file"
        " files first following found from further give given gives have having here however information into"
        " itself just know known later less like made make makes many mentioned might more most much must need"
        " never next none nothing only other others over part passage passages please provided question same says"
        " search several shall should show shows since some something such text than that their them then there"
        " therefore these they this those through thus together under until upon used uses using very well were"
        " what when where whether which while will with within without would your yours sorry"
    )
)

_FRAMES: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?:hi|hello|hey|good (?:morning|afternoon|evening))\b[\s,.!]+",
        r"(?:please|kindly)\b[\s,]+",
        r"(?:can|could|would|will) (?:you|someone|anyone)\b[\s,]+",
        r"(?:tell|show|explain to|give|help) (?:me|us)\b[\s,]+",
        r"(?:explain|find out|look up)\b\s+",
        r"(?:i|we)(?: am|'m| are|'re) (?:looking for|wondering|interested in)\b[\s,]+",
        r"(?:i|we)(?:'d| would)? (?:want|like|need) to (?:know|find out|understand|learn|hear)\b[\s,]+",
        r"do you (?:know|happen to know)\b[\s,]+",
        r"(?:what|who|which|where|when|why|how)"
        r"(?:'s| (?:is|are|was|were|do|does|did|can|could|should|would|will))\b\s+",
        r"(?:if|whether|about) ",
        r"(?:the|an?|our|my|your|there)\b\s+",
    )
)
_END: Final = re.compile(r"[\s,.?!]*(?:\b(?:please|thanks|thank you)[\s,.?!]*)?$", re.IGNORECASE)


def rewritten(question: str) -> str:
    """What a question asks for, without the words around it: a passage that answers it does not have them.

    They are known for English; what is asked in other words stays as it is, and so does what would have nothing left.
    """
    left = question.strip()
    begins = True
    while begins:
        begins = False
        for frame in _FRAMES:
            if (found := frame.match(left)) is not None:
                left, begins = left[found.end() :], True
    # A question of thousands of blanks or marks would be tried at each of them.
    left = _END.sub("", left, count=1) if len(left) < _LONG else left
    return left if telling(left) else question


def telling(text: str) -> frozenset[str]:
    """The words that say what it is about, in small letters. Those of scripts without blanks are pairs of letters."""
    found: set[str] = set()
    for word in _WORD.findall(text.casefold()):
        if _WIDE.search(word):
            found.update(word[place : place + 2] for place in range(max(1, len(word) - 1)))
        elif word[0].isdigit() or (len(word) >= _SHORTEST and word not in _COMMON):
            found.add(word)
    return frozenset(found)
