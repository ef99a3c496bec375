"""Which rules of mode `auto` fit a request."""

import pytest

from freddy.server.core.relevance import fits, points, subject
from freddy.server.core.rules import Rule


def rule(**fields):
    return Rule(content="Be kind.", apply_mode="auto", **fields)


@pytest.mark.parametrize(
    ("fields", "context", "message", "expected"),
    [
        ({}, {}, "Hello", 0),
        ({"rule_type": "guardrails"}, {}, "Hello", 2),
        ({"rule_type": "content_policy", "category": "safety"}, {}, "Hello", 2),
        ({"category": "safety"}, {}, "Hello", 2),
        ({"keywords": ("invoice",)}, {}, "Where is my INVOICE?", 2),
        ({"keywords": ("invoice",)}, {}, "Where are my invoices?", 0),
        ({"keywords": ("voice",)}, {}, "Where is my invoice?", 0),
        ({"keywords": ("due date", "invoice")}, {}, "Invoice: when is the due date?", 4),
        ({"keywords": ("c++",)}, {}, "Is C++ hard?", 2),
        ({"keywords": ("发票",)}, {}, "我的发票在哪里", 2),
        ({"keywords": ("markdown",)}, {"output_format": "markdown"}, "Hi", 2),
        ({"category": "technical"}, {"request_type": "code_generation"}, "Hi", 2),
        ({"category": "technical"}, {"request_type": "Technical Documentation"}, "Hi", 2),
        ({"category": "creative"}, {"request_type": "creative_writing"}, "Hi", 2),
        ({"category": "creative"}, {"request_type": "code_generation"}, "Hi", 0),
        ({"category": "technical"}, {"target_audience": "developers"}, "Hi", 1),
        ({"category": "professional"}, {"user_expertise": "expert", "target_audience": "business_users"}, "Hi", 2),
        ({"rule_type": "formatting"}, {"output_format": "html"}, "Hi", 1),
        ({"metadata": {"department": "Sales"}}, {"department": "sales"}, "Hi", 2),
        ({"metadata": {"department": "Sales"}}, {"department": "legal"}, "Hi", 0),
        ({"description": "How contracts with suppliers are worded"}, {}, "Check the contract of a supplier", 2),
        ({"description": "What must be with them"}, {}, "What must be with them?", 0),
    ],
)
def test_points_are_counted_from_words(fields, context, message, expected):
    assert points(rule(**fields), "Note", subject(context, message)) == expected


def test_a_keyword_without_a_letter_is_in_no_message():
    assert points(rule(keywords=(" ",)), "Note", subject({}, "a b")) == 0


def test_the_name_counts_as_well():
    about = subject({}, "Please translate this contract")
    assert points(rule(), "Translate contracts", about) == 2
    assert fits(rule(), "Translate contracts", about)
    assert not fits(rule(), "Contracts", about)


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"request_type": "chat", "user_expertise": "beginner"}, True),
        ({"request_type": "Data Analysis", "user_expertise": "beginner"}, True),
        ({"request_type": "chat", "user_expertise": "expert"}, False),
        ({"request_type": "chat"}, False),
        ({}, False),
    ],
)
def test_conditions_must_all_be_met_and_decide_alone(context, expected):
    conditioned = rule(
        rule_type="guardrails", conditions={"request_type": ("chat", "data_analysis"), "user_expertise": ("beginner",)}
    )
    assert fits(conditioned, "Note", subject(context, "Hi")) is expected


def test_only_the_end_of_a_long_message_is_looked_at():
    about = subject({}, "invoice " + "word " * 10_000 + "contract")
    assert points(rule(keywords=("invoice", "contract")), "Note", about) == 2
