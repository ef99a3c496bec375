"""What is shown of a kept response besides, for those who ask for it when they get it."""

import pytest


async def kept(gateway) -> str:
    return (await gateway.ask("freddy"))["id"]


@pytest.mark.parametrize("query", ["include=request.logs", "include[]=request.logs", "include=all"])
async def test_a_kept_response_shows_what_is_included_later(gateway, query):
    response_id = await kept(gateway)
    plain = (await gateway.get(f"/v1/model/response/{response_id}")).json()
    more = (await gateway.get(f"/v1/model/response/{response_id}?{query}")).json()
    assert "request_logs" not in plain
    assert [log["type"] for log in more["request_logs"]][:1] == ["attempt"]


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/model/response/{}?include=nonsense", 422), ("/v1/responses/{}?include=nonsense", 400)]
)
async def test_what_cannot_be_included_is_an_error(gateway, path, status):
    told = await gateway.get(path.format(await kept(gateway)))
    assert told.status_code == status
    assert "include" in told.json()["error"]["param"]
