"""What may be called: by the look of its address, and by where its name leads."""

import ipaddress

import httpx2
import pytest

from freddy.server.core import errors, networks
from freddy.server.core.networks import Opening
from freddy.server.outward import CheckedOutward
from freddy.server.ports.outward import Refused

HOSTILE = (
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.0.1./",
    "http://127.255.255.254:8080/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://0/",
    "http://0.0.0.0/",
    "http://1.2.3.4.5/",
    "http://example.0x10/",
    "http://example.1/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://a.localhost:8000/",
    "http://10.0.0.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://169.254.169.254/latest/meta-data/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://192.168.1.1/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.7/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[::8.8.8.8]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a00:1]/",
    "http://[::ffff:0:7f00:1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:808:808::1]/",
    "http://[2001:0:808:808::1]/",
    "http://[2001:db8::1]/",
    "http://[2606:4700::5efe:10.0.0.1]/",
    "http://[2606:4700::200:5efe:7f00:1]/",
    "http://[100::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://１２７.0.0.1/",
    "http://127。0。0。1/",
    "http://①②⑦.0.0.1/",
    "http://user@example.com/",
    "http://user:password@example.com/",
    "http://example.com@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://exam ple.com/",
    "http://example.com/\nHost: internal",
    "http://8.8.8.8:22/",
    "http://8.8.8.8:25/",
    "http://8.8.8.8:0/",
    "http://example.com:99999/",
    "http://-example.com/",
    "http:///path",
    "http://",
    "//example.com/",
    "/path",
    "example.com",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "unix:///run/docker.sock",
    "javascript:alert(1)",
    "data:text/plain,x",
    "",
    "http://example.com/" + "a" * 2048,
)

USUAL = (
    "http://example.com",
    "https://example.com/functions?a=b",
    "https://EXAMPLE.com:8443/",
    "https://bücher.example/",
    "http://under_score.example/",
    "http://1.1.1.1/",
    "http://8.8.8.8:9000/",
    "http://[2606:4700:4700::1111]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[64:ff9b::8.8.8.8]/",
    "http://127.0.0.1.example.com/",
    "http://mcp/",
)

CLOSED = (
    "0.0.0.0",
    "10.1.2.3",
    "100.64.1.1",
    "127.0.0.1",
    "127.9.9.9",
    "168.63.129.16",
    "169.254.169.254",
    "172.20.0.1",
    "192.0.0.1",
    "192.168.0.1",
    "198.19.255.255",
    "224.1.1.1",
    "250.1.1.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:a00:1::",
    "2001::1",
    "2001:db8::1",
    "2606:4700::5efe:192.168.0.1",
    "fe80::1%eth0",
    "fec0::1",
    "fd12::1",
    "ff05::2",
)


def answers(**hosts: list[str]):
    async def resolve(host: str, _port: int) -> list[str]:
        try:
            return hosts[host.partition(".")[0]]
        except KeyError:
            raise OSError("unknown") from None

    return resolve


@pytest.mark.parametrize("url", HOSTILE)
async def test_a_hostile_address_is_refused_by_its_look(url):
    outward = CheckedOutward(Opening(), resolve=answers())
    with pytest.raises(errors.InvalidValue) as refused:
        outward.check(url, param="url")
    assert refused.value.param == "url"
    async with outward.client() as client:
        with pytest.raises((httpx2.RequestError, httpx2.InvalidURL)):
            await client.get(url)


@pytest.mark.parametrize("url", USUAL)
def test_a_usual_address_is_taken(url):
    CheckedOutward(Opening()).check(url, param="url")


@pytest.mark.parametrize("address", CLOSED)
async def test_a_name_that_leads_inside_is_refused_before_anything_is_connected(address):
    outward = CheckedOutward(Opening(), resolve=answers(there=[address], mixed=["8.8.8.8", address]))
    async with outward.client() as client:
        for host in ("there", "mixed"):
            with pytest.raises(Refused, match="allow_private"):
                await client.get(f"http://{host}.example/")


@pytest.mark.parametrize("port", [22, 25, 6379, 27017])
async def test_ports_that_speak_no_http_are_refused_in_public_networks(port):
    outward = CheckedOutward(Opening(), resolve=answers(there=["8.8.8.8"]))
    async with outward.client() as client:
        with pytest.raises(Refused, match=f"port {port} "):
            await client.get(f"http://there.example:{port}/")


async def test_what_is_refused_does_not_tell_where_a_name_leads():
    outward = CheckedOutward(Opening(), resolve=answers(there=["10.11.12.13"]))
    async with outward.client() as client:
        with pytest.raises(Refused) as refused:
            await client.get("http://there.example/")
    assert "10.11" not in str(refused.value)


async def test_a_name_without_an_address_is_a_failed_connection():
    async with CheckedOutward(Opening(), resolve=answers(nothing=[])).client() as client:
        for host in ("nothing", "unknown"):
            with pytest.raises(httpx2.ConnectError, match="There is no host"):
                await client.get(f"http://{host}.example/")


def test_an_operator_opens_networks_and_names():
    opening = Opening.of(["10.0.0.0/8", "192.168.7.7", "fd00::/8", "MCP.internal.", "mcp"])
    outward = CheckedOutward(opening)
    for url in ("http://10.1.2.3:6379/", "http://192.168.7.7/", "http://[fd00::1]/", "http://[::ffff:10.0.0.1]/"):
        outward.check(url, param="url")
    for url in ("http://192.168.7.8/", "http://11.1.1.1:22/", "http://127.0.0.1/", "http://localhost/"):
        with pytest.raises(errors.InvalidValue):
            outward.check(url, param="url")
    assert opening.named("mcp.INTERNAL")
    assert opening.named("mcp.internal.")
    assert not opening.named("x.mcp.internal")


@pytest.mark.parametrize("entry", ["10.1.2.3/8", "10.0.0.0/33", "http://x", "a b", "", "127.1", "*.internal"])
def test_what_is_neither_network_nor_name_opens_nothing(entry):
    with pytest.raises(ValueError, match="network"):
        Opening.of([entry])


def test_local_development_opens_this_machine_and_nothing_else():
    outward = CheckedOutward(Opening.of([], loopback=True))
    for url in ("http://localhost:8000/", "http://127.0.0.1:6379/", "http://[::1]/", "http://a.localhost/"):
        outward.check(url, param="url")
    for url in ("http://0.0.0.0/", "http://10.0.0.1/", "http://169.254.169.254/", "http://127.1/"):
        with pytest.raises(errors.InvalidValue):
            outward.check(url, param="url")


def test_public_addresses_are_never_ones_that_the_standard_library_knows_to_be_closed():
    for text in ("1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e"):
        assert networks.is_public(ipaddress.ip_address(text))
    for text in (one.partition("%")[0] for one in CLOSED):
        assert not networks.is_public(ipaddress.ip_address(text))
