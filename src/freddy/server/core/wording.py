"""Owns which words tell what a text is about. Pure."""

import re
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_WIDE: Final = re.compile("[\u0e00-\u0eff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff]")
_SHORTEST: Final = 4
"""Letters of a word that says what a text is about; numbers always do."""
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


def telling(text: str) -> frozenset[str]:
    """The words that say what it is about, in small letters. Those of scripts without blanks are pairs of letters."""
    found: set[str] = set()
    for word in _WORD.findall(text.casefold()):
        if _WIDE.search(word):
            found.update(word[place : place + 2] for place in range(max(1, len(word) - 1)))
        elif word[0].isdigit() or (len(word) >= _SHORTEST and word not in _COMMON):
            found.add(word)
    return frozenset(found)
