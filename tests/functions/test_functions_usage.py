"""A call of a function that was begun is in the ledger, whatever became of it."""

import asyncio

from functions_stage import PARAMETERS

from upstream import PATIENCE, Answer, call


async def test_a_call_that_is_under_way_when_its_response_is_cancelled_is_counted(gateway, server):
    server.answers = [None]
    function = {"name": "stock_of", "description": "Stock", "parameters": PARAMETERS, "url": server.url}
    assert (await gateway.post("/v1/functions", function)).status_code == 201
    gateway.upstream.says(Answer(call("stock_of", '{"article": "a"}', call_id="call_1")))
    body = {"inputs": "Hi", "background": True, "tools": [{"type": "function", "name": "stock_of"}]}
    begun = (await gateway.post("/v1/model/response", body)).json()
    await asyncio.wait_for(server.asked.wait(), PATIENCE)
    await gateway.post(f"/v1/responses/{begun['id']}/cancel")
    assert (await gateway.ended(begun["id"]))["status"] == "cancelled"
    [entry] = (await gateway.get("/v1/usage?bucket=none&kind=tool&group_by=model,provider")).json()["data"]
    assert (entry["model"], entry["provider"]) == ("stock_of", "function")
    assert (entry["calls"], entry["failures"], entry["cost"], entry["total_tokens"]) == (1, 0, 0, 0)
