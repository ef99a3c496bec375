"""The files that the documentation's examples name."""

import pytest
from gateway import spelled

from freddy.server.config import settings as parts

NAMES = ("file_abc123", "file_original_photo", "file_mask_image", "file_sales_data_csv")


@pytest.mark.parametrize("name", NAMES)
async def test_the_files_of_the_examples_are_there_on_this_machine(gateway, name):
    told = (await gateway.get(f"/v1/files/{name}")).json()
    content = await gateway.get(f"/v1/files/{name}/content")
    assert (told["id"], told["bytes"]) == (name, len(content.content))
    assert content.content.startswith(b"month,units" if name.endswith("csv") else b"\x89PNG\r\n")
    assert (await gateway.delete(f"/v1/files/{name}")).status_code == 404


async def test_they_are_in_no_list(gateway):
    assert (await gateway.get("/v1/files")).json()["data"] == []


async def test_they_are_nowhere_else(closed):
    key = (await closed.mint("org_abc123")).secret
    assert (await closed.get("/v1/files/file_abc123", key=key)).status_code == 404
    path, body = spelled("freddy", input=[{"role": "user", "images": [{"fileId": "file_abc123"}]}])
    assert (await closed.post(path, body, key=key)).status_code == 404
    assert closed.settings.dev == parts.Development(mode="off")
