"""How both dialects ask for tools that this server runs."""

import json

import pytest
from hosted_scenes import SCENES, SEARCH, SERVER, frames, freddy, openai, response_to
from hypothesis import given, settings
from hypothesis import strategies as st

from freddy.server.core import errors, filtering, toolspec
from freddy.server.core.toolspec import Allowed, Approval, Hosted, Which
from freddy.server.dialects import hosted
from freddy.server.dialects.freddy import FREDDY
from freddy.server.dialects.freddy import aliases as freddy_names
from freddy.server.dialects.openai import OPENAI
from promises import promise

DIALECTS = {"openai": openai, "freddy": freddy}
BOTH = pytest.mark.parametrize("ask", DIALECTS.values(), ids=DIALECTS)
SAVED = {"type": "mcp", "server_label": "drive", "configuration_id": "mcp_config_1"}
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}}


def tool(ask, **fields):
    (spec,) = ask(tools=[fields]).tools
    return spec


def refused(ask, **body) -> errors.FreddyError:
    with pytest.raises(errors.FreddyError) as raised:
        ask(**body)
    assert 400 <= raised.value.status < 500
    return raised.value


def echoed(made) -> dict:
    return json.loads(OPENAI.encode_response(response_to(made)))


# --- MCP --------------------------------------------------------------------------------------


@BOTH
def test_a_server_is_named_by_its_address(ask):  # promises 187, 188, 191, 193, 195, 196
    spec = tool(
        ask,
        **SERVER,
        server_description="Wikis",
        authorization="tok",
        headers={"X-Key": "k", "X-None": None},
        allowed_tools=["ask", "read_*"],
        require_approval="never",
    )

    assert spec == toolspec.Mcp(
        "deepwiki",
        spec.data,
        server_url="https://mcp.example.com/mcp",
        description="Wikis",
        allowed=Which(("ask", "read_*")),
        approval=Approval("never"),
        authorization="tok",
        headers={"X-Key": "k"},
    )


@BOTH
def test_a_server_may_be_one_that_was_saved(ask):  # promise 190
    spec = tool(ask, **SAVED)

    assert (spec.configuration_id, spec.server_url, spec.approval, spec.allowed) == ("mcp_config_1", None, None, None)


@BOTH
@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"server_url": None}, ""),
        ({"configuration_id": "mcp_config_1"}, ""),
        ({"server_url": "ftp://a.b"}, ".server_url"),
        ({"server_url": "https://u:p@a.b"}, ".server_url"),
        ({"server_url": "stdio://x"}, ".server_url"),
        ({"server_label": "1x"}, ".server_label"),
        ({"server_label": "a b"}, ".server_label"),
        ({"server_label": ""}, ".server_label"),
        ({"server_label": None}, ".server_label"),
        ({"server_label": "functions"}, ".server_label"),
        ({"server_url": None, "connector_id": "connector_x"}, ".connector_id"),
        ({"server_url": None, "connector_id": "connector_gmail"}, ".connector_id"),
        ({"authorization": "a\nb"}, ".authorization"),
        ({"authorization": ""}, ".authorization"),
        ({"headers": {"a b": "c"}}, ".headers"),
        ({"headers": {"Host": "c"}}, ".headers"),
        ({"headers": {"X-A": "c\r\nX-B: d"}}, ".headers.X-A"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, ".headers"),
        ({"headers": {"X-A": 1}}, ".headers"),
        ({"require_approval": "sometimes"}, ".require_approval"),
        ({"require_approval": 1}, ".require_approval"),
        ({"allowed_tools": "ask"}, ".allowed_tools"),
        ({"allowed_tools": [1]}, ".allowed_tools"),
    ],
    ids=str,
)
def test_a_server_that_is_not_well_described_is_refused_by_its_place(fields, at, ask):
    error = refused(ask, tools=[{**SERVER, **fields}])

    assert error.param is not None
    assert error.param.startswith(f"tools[0]{at}")
    told = json.dumps([error.message, error.details])
    assert "X-B" not in told
    assert "u:p" not in told


@BOTH
def test_exactly_one_way_leads_to_a_server(ask):  # promise 189
    error = refused(ask, tools=[{**SERVER, "configuration_id": "mcp_config_1"}])

    assert error.details == "tools[0] must have exactly one of server_url, connector_id and configuration_id"


@BOTH
@pytest.mark.parametrize("connector", hosted.CONNECTORS)
def test_a_connector_is_known_and_not_there_yet(connector, ask):  # promise 192
    error = refused(ask, tools=[{"type": "mcp", "server_label": "x", "connector_id": connector}])

    assert (error.message, error.status) == ("Connectors are not served yet", 400)


@BOTH
def test_labels_are_unique(ask):
    error = refused(ask, tools=[SERVER, SAVED, SERVER])

    assert error.param == "tools[2].server_label"
    assert "deepwiki" in str(error.details)


@pytest.mark.parametrize(
    ("written", "allowed", "excluded"),
    [
        (None, None, None),
        (["a"], Which(("a",)), None),
        ([], None, Which(("*",))),
        ({}, None, None),
        ({"tool_names": ["a"]}, Which(("a",)), None),
        ({"tool_names": []}, None, Which(("*",))),
        ({"read_only": True}, Which((), read_only=True), None),
        ({"tool_names": ["a"], "read_only": False}, Which(("a",), read_only=False), None),
    ],
    ids=str,
)
def test_openais_filters_of_tools(written, allowed, excluded):
    spec = tool(openai, **SERVER, allowed_tools=written)

    assert (spec.allowed, spec.excluded) == (allowed, excluded)


@pytest.mark.parametrize(
    ("written", "allowed", "excluded"),
    [
        ({"include": ["get_*"], "exclude": ["get_all"]}, Which(("get_*",)), Which(("get_all",))),
        ({"exclude": ["delete_*"]}, None, Which(("delete_*",))),
        ({"include": [], "exclude": ["delete_*"]}, None, Which(("delete_*",))),
        ({"toolNames": ["a"], "readOnly": True}, Which(("a",), read_only=True), None),
    ],
    ids=str,
)
def test_this_servers_own_filters_of_tools(written, allowed, excluded):  # promise 198
    spec = tool(freddy, **SERVER, allowedTools=written)

    assert (spec.allowed, spec.excluded) == (allowed, excluded)


@pytest.mark.parametrize("written", [[], {"include": []}, {"tool_names": []}])
def test_a_filter_that_allows_nothing_is_a_mistake_here(written):
    assert refused(freddy, tools=[{**SERVER, "allowed_tools": written}]).param.startswith("tools[0].allowed_tools")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, None),
        ("always", Approval()),
        ("never", Approval("never")),
        ({}, Approval()),
        ({"never": {"tool_names": ["a"]}}, Approval(never=(Which(("a",)),))),
        ({"always": {"tool_names": ["b"]}}, Approval(always=(Which(("b",)),))),
        (
            {"always": {"tool_names": ["b"]}, "never": {"read_only": True}},
            Approval(always=(Which(("b",)),), never=(Which((), read_only=True),)),
        ),
        ({"never": {}}, Approval()),
        ({"never": {"tool_names": []}}, Approval()),
        ({"never": {"tool_names": [], "read_only": True}}, Approval()),
    ],
    ids=str,
)
@BOTH
def test_who_says_nothing_of_a_tool_approves_it_himself(written, meant, ask):  # promise 199
    assert tool(ask, **SERVER, require_approval=written).approval == meant


def test_this_servers_own_form_of_approvals():  # promise 200
    spec = tool(freddy, **SERVER, requireApproval={"require": ["delete_*"], "allow": ["get_*"]})

    assert spec.approval == Approval(always=(Which(("delete_*",)),), never=(Which(("get_*",)),))


# --- File search ------------------------------------------------------------------------------


@BOTH
def test_a_search_names_its_stores_and_says_how(ask):  # promises 125 to 130
    spec = tool(
        ask,
        type="file_search",
        vector_store_ids=["vs_1", "vs_2", "vs_1"],
        filters={"type": "eq", "key": "year", "value": 2026},
        max_num_results=5,
        ranking_options={
            "ranker": "hybrid",
            "score_threshold": 0.7,
            "hybrid_search": {"embedding_weight": 2, "text_weight": 0.5},
        },
    )

    assert spec == toolspec.FileSearch(
        ("vs_1", "vs_2"),
        spec.data,
        filter_=filtering.Comparison("year", "eq", 2026.0),
        most=5,
        ranker="hybrid",
        least_score=0.7,
        semantic_weight=2.0,
        lexical_weight=0.5,
    )


@BOTH
@pytest.mark.parametrize(
    ("ranker", "meant"),
    [
        (None, None),
        ("auto", None),
        ("default", None),
        ("default-2024-11-15", None),
        ("default_2024_08_21", None),
        ("none", "semantic"),
        ("semantic", "semantic"),
        ("lexical", "lexical"),
        ("keyword", "lexical"),
        ("hybrid", "hybrid"),
    ],
)
def test_a_ranker_has_several_names(ranker, meant, ask):
    assert tool(ask, **SEARCH, ranking_options={"ranker": ranker}).ranker == meant


@BOTH
def test_who_weighs_words_against_meaning_wants_both(ask):
    spec = tool(ask, **SEARCH, ranking_options={"hybrid_search": {"embedding_weight": 1, "text_weight": 3}})

    assert (spec.ranker, spec.semantic_weight, spec.lexical_weight) == ("hybrid", 1.0, 3.0)


@BOTH
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"vector_store_ids": None}, "vector_store_ids"),
        ({"vector_store_ids": []}, "vector_store_ids"),
        ({"vector_store_ids": [""]}, "vector_store_ids"),
        ({"vector_store_ids": "vs_1"}, "vector_store_ids"),
        ({"max_num_results": 0}, "max_num_results"),
        ({"max_num_results": 51}, "max_num_results"),
        ({"ranking_options": {"score_threshold": 1.1}}, "ranking_options.score_threshold"),
        ({"ranking_options": {"ranker": "best"}}, "ranking_options.ranker"),
        (
            {"ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}},
            "ranking_options.hybrid_search",
        ),
        ({"filters": []}, "filters"),
        ({"filters": {"type": "eq", "key": "a", "value": None}}, "filters.value"),
        ({"filters": {"type": "and", "filters": []}}, "filters.filters"),
    ],
    ids=str,
)
def test_a_search_that_is_not_well_described_is_refused_by_its_place(fields, param, ask):
    assert refused(ask, tools=[{**SEARCH, **fields}]).param == f"tools[0].{param}"


def test_this_servers_own_filters_are_attributes():  # promise 127
    spec = tool(freddy, **SEARCH, filters={"year": 2026, "kind": ["a", "b"]})

    assert spec.filter_ == filtering.All(
        (filtering.Comparison("year", "eq", 2026.0), filtering.Comparison("kind", "in", ("a", "b")))
    )


@BOTH
def test_an_empty_filter_leaves_nothing_out(ask):
    assert tool(ask, **SEARCH, filters={}).filter_ is None


def test_stores_beside_the_tools_are_searched():
    made = freddy(vector_store_ids=["vs_1", "vs_1"])
    (spec,) = made.tools
    assert isinstance(spec, toolspec.FileSearch)
    assert spec.vector_store_ids == ("vs_1",)
    assert json.loads(FREDDY.encode_response(response_to(made)))["vector_store_ids"] == ["vs_1", "vs_1"]

    other = {**SEARCH, "vector_store_ids": ["vs_2"]}
    (spec,) = freddy(vector_store_ids=["vs_1"], tools=[other]).tools
    assert isinstance(spec, toolspec.FileSearch)
    assert spec.vector_store_ids == ("vs_2",)
    assert freddy(vector_store_ids=[]).tools == ()
    assert refused(freddy, vectorStoreIds=[""]).param == "vectorStoreIds"


# --- Functions --------------------------------------------------------------------------------


def test_functions_are_the_callers_in_one_dialect_and_may_be_the_servers_in_the_other():
    assert tool(openai, **WEATHER).hosted is False
    spec = tool(freddy, **WEATHER, require_approval=True)
    assert (spec.hosted, spec.require_approval) == (True, True)
    (spec,) = freddy(functions=[{"name": "weather"}]).tools
    assert spec.hosted is True


# --- Choices ----------------------------------------------------------------------------------

OFFERED = [SERVER, SAVED, SEARCH, WEATHER, {"type": "web_search"}]


@promise(114, 116)
@BOTH
@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        ({"type": "mcp", "server_label": "drive"}, Hosted("mcp", "drive")),
        ({"type": "mcp", "server_label": "drive", "name": "find"}, Hosted("mcp", "drive", "find")),
        ({"type": "mcp"}, Hosted("mcp")),
        ({"type": "file_search"}, Hosted("file_search")),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [
                    {"type": "function", "name": "weather"},
                    {"type": "mcp", "server_label": "drive"},
                    {"type": "file_search"},
                ],
            },
            Allowed(("weather",), "required", (Hosted("mcp", "drive"), Hosted("file_search"))),
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp", "server_label": "drive"}]},
            Allowed((), "auto", (Hosted("mcp", "drive"),)),
        ),
    ],
    ids=str,
)
def test_a_choice_of_hosted_tools_is_read_and_told_again(choice, meant, ask):
    made = ask(tools=OFFERED, tool_choice=choice)

    assert made.tool_choice == meant
    for dialect in (OPENAI, FREDDY):
        told = json.loads(dialect.encode_response(response_to(made)))["tool_choice"]
        assert told == choice


@promise(114)
@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        ("file_search", Hosted("file_search")),
        ("fileSearch", Hosted("file_search")),
        ("mcp", Hosted("mcp")),
        ({"type": "fileSearch"}, Hosted("file_search")),
        ({"type": "mcp", "serverLabel": "drive"}, Hosted("mcp", "drive")),
    ],
    ids=str,
)
def test_a_choice_may_be_the_name_of_a_kind_of_tools(choice, meant):
    assert freddy(tools=OFFERED, toolChoice=choice).tool_choice == meant


@BOTH
@pytest.mark.parametrize(
    "choice",
    [
        {"type": "mcp", "server_label": "other"},
        {"type": "file_search"},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp", "server_label": "other"}]},
        {"type": "mcp", "server_label": "deepwiki", "name": ""},
    ],
    ids=str,
)
def test_a_choice_of_what_is_not_there_is_refused(choice, ask):
    assert "tool_choice" in str(refused(ask, tools=[SERVER], tool_choice=choice).param)


def test_a_choice_of_what_is_not_run_here_stays_as_it_was():
    for ask in (openai, freddy):
        made = ask(tools=OFFERED, tool_choice={"type": "web_search"})
        assert made.tool_choice == "auto"
        assert echoed(made)["tool_choice"] == {"type": "web_search"}


# --- What is told of them ---------------------------------------------------------------------


def test_tools_are_told_as_they_were_written():
    tools = [
        {**SERVER, "server_description": "Wikis", "require_approval": {"never": {"tool_names": ["ask"]}}, "new": 1},
        {**SEARCH, "filters": {"type": "eq", "key": "year", "value": 2026}, "max_num_results": 3, "new": [1]},
    ]

    assert echoed(openai(tools=tools))["tools"] == tools


def test_tools_of_the_other_dialect_are_told_in_openais_words():
    tools = [
        {
            **SERVER,
            "serverDescription": "Wikis",
            "allowedTools": {"include": ["get_*"], "exclude": ["get_all"]},
            "requireApproval": {"require": ["get_x"], "allow": ["get_*"]},
        },
        {"type": "fileSearch", "vectorStoreIds": ["vs_1"], "filters": {"year": 2026, "kind": "a"}},
    ]

    assert echoed(freddy(tools=tools))["tools"] == [
        {
            **SERVER,
            "server_description": "Wikis",
            "allowed_tools": {"tool_names": ["get_*"]},
            "require_approval": {"always": {"tool_names": ["get_x"]}, "never": {"tool_names": ["get_*"]}},
        },
        {
            **SEARCH,
            "filters": {
                "type": "and",
                "filters": [
                    {"type": "eq", "key": "year", "value": 2026},
                    {"type": "eq", "key": "kind", "value": "a"},
                ],
            },
        },
    ]


@pytest.mark.parametrize("scene", SCENES)
@BOTH
def test_what_a_server_is_told_in_confidence_is_told_to_nobody_else(ask, scene):
    secrets = {"authorization": "s3cret", "headers": {"X-Key": "s3cret"}}
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp", "server_label": "deepwiki"}]}
    if ask is openai:
        choice["tools"][0].update(secrets)
    made = ask(tools=[{**SERVER, **secrets}], tool_choice=choice)
    told = SCENES[scene](made)

    assert made.tools[0].authorization == "s3cret"
    for dialect in (OPENAI, FREDDY):
        assert b"s3cret" not in b"".join(frames(dialect, told))
        assert b"s3cret" not in dialect.encode_response(told[-1].response)
    assert b"s3cret" not in bytes(made.tools[0].data)
    assert "s3cret" not in str(made.echo)


# --- Anything at all --------------------------------------------------------------------------

FIELDS = sorted(
    {
        *freddy_names.MCP_TOOL,
        *freddy_names.FILE_SEARCH_TOOL,
        *freddy_names.RANKING_OPTIONS,
        *freddy_names.HYBRID_SEARCH,
        *freddy_names.MCP_ALLOWED,
        *freddy_names.MCP_APPROVAL,
        *freddy_names.TOOL_CHOICE,
        "key",
        "value",
    }
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["always", "never", "mcp", "file_search", "allowed_tools", "eq", "and", "https://a.b", "hybrid"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=10,
)
WHOLE = {"mcp": SERVER, "file_search": SEARCH}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(WHOLE)), st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4), VALUES)
def test_whatever_is_asked_of_a_tool_is_read_or_refused_by_its_place(kind, fields, choice):
    for ask in (openai, freddy):
        body = {"tools": [{**WHOLE[kind], **fields, "type": kind}], "tool_choice": choice}
        made, refusals = tried(ask, body)
        for each in made:
            for dialect in (OPENAI, FREDDY):
                json.loads(dialect.encode_response(response_to(each)))
        for error in refusals:
            assert 400 <= error.status < 500
            assert str(error.param).startswith(("tools[0]", "tool_choice"))


def tried(ask, body: dict) -> tuple[list, list[errors.FreddyError]]:
    try:
        return [ask(**body)], []
    except errors.FreddyError as error:
        return [], [error]
