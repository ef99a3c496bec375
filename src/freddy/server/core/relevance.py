"""Owns whether a rule of mode `auto` fits a request: counted from words, without a model, the same every time."""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from freddy.server.core.rules import Rule

ENOUGH: Final = 2
"""Points at which a rule fits."""

_WORD: Final = re.compile(r"[^\W_]+")
_READ: Final = 8_000
"""Characters of a message that are looked at, from its end: there people say what they want."""
_SHORTEST: Final = 4
"""Letters of a word that says what a text is about."""
_COMMON: Final = frozenset(
    _WORD.findall(
        "about after again also always answer because been before being could does each every from give have here into"
        " just like make many more most much must need never only other please rule some such tell than that their them"
        " then there these they this those very want well were what when where which while will with without would"
        " write your yours"
    )
)
_CATEGORIES: Final[Mapping[str, str]] = {
    "creative_writing": "creative",
    "code_generation": "technical",
    "technical_documentation": "technical",
    "data_analysis": "technical",
    "developers": "technical",
    "business_users": "professional",
    "professional": "professional",
    "expert": "professional",
}
"""What values of the rule context have to do with a category."""
_PROTECTIVE: Final = ("guardrails", "content_policy")


class Subject(Struct, frozen=True):
    """What a request is about: its rule context, the words of both context and message, and what they tell of it."""

    context: Mapping[str, str]
    said: str
    topics: frozenset[str]


def subject(context: Mapping[str, str], message: str) -> Subject:
    """`message` is what the user said last."""
    said = "\n".join((message[-_READ:], *context.values())).casefold()
    return Subject(context, said, _topics(said))


def fits(rule: Rule, name: str, about: Subject) -> bool:
    """With conditions: whether the context meets them all. Without: whether `points` are enough."""
    if rule.conditions:
        return all(
            _said(about.context.get(field, "")) in map(_said, values) for field, values in rule.conditions.items()
        )
    return points(rule, name, about) >= ENOUGH


def points(rule: Rule, name: str, about: Subject) -> int:
    """How much the rule of this name has to do with the request.

    - 2 for a guardrail, a content policy, or the category `safety`: they are for every request
    - 2 for each keyword in the message or in the context
    - 2 for each field of the rule's metadata that says what the field of this name in the context says
    - 2 where the request type belongs to the rule's category; 1 where expertise or audience does
    - 1 for a rule about formatting, where the context has an output format
    - 1 for each word that name or description share with the message or with the context
    """
    context = about.context
    counted = 2 * (rule.rule_type in _PROTECTIVE or rule.category == "safety")
    counted += 2 * sum(_holds(about.said, keyword) for keyword in rule.keywords)
    counted += 2 * sum(
        _said(context[field]) == _said(value) for field, value in rule.metadata.items() if field in context
    )
    for field, worth in (("request_type", 2), ("user_expertise", 1), ("target_audience", 1)):
        category = _CATEGORIES.get(_said(context.get(field, "")))
        counted += worth * (category is not None and category == rule.category)
    counted += rule.rule_type == "formatting" and bool(context.get("output_format"))
    return counted + len(_topics(f"{name}\n{rule.description or ''}".casefold()) & about.topics)


def _said(value: str) -> str:
    return value.strip().casefold().replace(" ", "_").replace("-", "_")


def _holds(said: str, keyword: str) -> bool:
    """Whether it is there as words of its own. Scripts without blanks know none."""
    keyword = keyword.strip().casefold()
    if not keyword:
        return False
    place = said.find(keyword)
    while place >= 0 and keyword.isascii():
        end = place + len(keyword)
        if not (said[max(0, place - 1) : place].isalnum() or said[end : end + 1].isalnum()):
            break
        place = said.find(keyword, end)
    return place >= 0


def _topics(said: str) -> frozenset[str]:
    """The words that say what a text is about, in the singular as far as that is easy."""
    words = {word.removesuffix("s") for word in _WORD.findall(said)}
    return frozenset(word for word in words if len(word) >= _SHORTEST) - _COMMON
