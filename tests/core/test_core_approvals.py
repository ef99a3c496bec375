"""Which answers to requests for approval are still to be taken up."""

from freddy.server.core import approvals, items

USER = items.Message("msg_u", "user", (items.Text("Hi"),))
SAID = items.Message("msg_a", "assistant", (items.Text("Hello"),))
HOSTED = items.ApprovalRequest("mcpr_1", "call_1", "tool", "{}", "deep")
FUNCTION = items.ApprovalRequest("mcpr_2", "call_2", "add", "{}")
YES = items.ApprovalAnswer("mcpa_1", "mcpr_1", approve=True)
NO = items.ApprovalAnswer("mcpa_2", "mcpr_1", approve=False)
MADE = items.HostedCall("mcp_1", "call_1", "tool", "{}", items.Mcp("deep"), status="completed", approval_id="mcpr_1")
CALL = items.FunctionCall("fc_1", "call_2", "add", "{}")
OUTPUT = items.FunctionOutput("fco_1", "call_2", (items.Text("3"),))
YES_TO_FUNCTION = items.ApprovalAnswer("mcpa_3", "mcpr_2", approve=True)
NO_TO_FUNCTION = items.ApprovalAnswer("mcpa_4", "mcpr_2", approve=False)


def test_an_input_without_answers_has_none():
    assert approvals.fresh((USER, SAID, HOSTED, MADE)) == ()


def test_answers_are_fresh_wherever_their_requests_are():
    assert approvals.fresh((YES,)) == (YES,)
    assert approvals.fresh((USER, HOSTED, NO, USER)) == (NO,)
    assert approvals.fresh((USER, CALL, FUNCTION, HOSTED, YES, YES_TO_FUNCTION)) == (YES, YES_TO_FUNCTION)


def test_a_yes_is_fresh_until_its_call_is_there():
    assert approvals.fresh((HOSTED, YES, SAID, USER)) == (YES,)
    assert approvals.fresh((HOSTED, YES, MADE, SAID, USER)) == ()
    assert approvals.fresh((CALL, FUNCTION, YES_TO_FUNCTION, OUTPUT, SAID)) == ()


def test_a_no_is_fresh_until_the_model_has_gone_on():
    assert approvals.fresh((HOSTED, NO, SAID, USER)) == ()
    assert approvals.fresh((HOSTED, NO, items.Reasoning("rs_1"))) == ()
    assert approvals.fresh((CALL, FUNCTION, NO_TO_FUNCTION, OUTPUT)) == ()


def test_an_old_answer_does_not_hide_a_new_one():
    assert approvals.fresh((HOSTED, YES, MADE, SAID, CALL, FUNCTION, NO_TO_FUNCTION)) == (NO_TO_FUNCTION,)
