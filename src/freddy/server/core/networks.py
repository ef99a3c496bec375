"""Owns which addresses of the network belong to everybody, and which an operator opens besides."""

import ipaddress
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, Self, TypeAlias

from msgspec import Struct

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# https://www.iana.org/assignments/iana-ipv4-special-registry, and what clouds keep for themselves.
_CLOSED_4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's agent, on an address that looks public
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# https://www.iana.org/assignments/ipv6-address-space: nothing else is for everybody, and not all of this.
_OPEN_6: Final = IPv6Network("2000::/3")
_CLOSED_6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, benchmarks, ORCHID and others
        "2001:db8::/32",
        "2002::/16",  # 6to4: any IPv4 address in disguise
        "2620:4f:8000::/48",
        "3ffe::/16",
        "3fff::/20",
    )
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_ISATAP: Final = 0x5EFE
_LOOPBACK: Final[tuple[Network, ...]] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

# https://fetch.spec.whatwg.org/#port-blocking, and databases and remote desktops, which speak no HTTP either.
_CLOSED_PORTS: Final = frozenset(
    int(port)
    for port in (  # noqa: SIM905
        "0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 "
        "123 135 137 139 143 161 179 389 427 445 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 "
        "989 990 993 995 1433 1521 1719 1720 1723 2049 3306 3389 3659 4045 4190 5060 5061 5432 5672 5900 6000 6379 "
        "6566 6665 6666 6667 6668 6669 6679 6697 9042 10080 11211 27017"
    ).split()
)

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")


class Opening(Struct, frozen=True):
    """What an operator opens: networks, and hosts by their names. `loopback` opens this machine to itself."""

    networks: tuple[Network, ...] = ()
    names: frozenset[str] = frozenset()
    loopback: bool = False

    @classmethod
    def of(cls, entries: Iterable[str], *, loopback: bool = False) -> Self:
        """Of texts such as `10.0.0.0/8`, `10.1.2.3` and `mcp.internal`. Raises ValueError for any other."""
        networks: list[Network] = []
        names = set()
        for entry in entries:
            if found := network(entry):
                networks.append(found)
            else:
                names.add(_name(entry))
        return cls(tuple(networks), frozenset(names), loopback)

    def named(self, host: str) -> bool:
        host = host.rstrip(".").lower()
        return host in self.names or (self.loopback and _is_local(host))

    def admits(self, address: Address) -> bool:
        """Whether it is in a network that is open besides those that are everybody's."""
        here = _LOOPBACK if self.loopback else ()
        return any(
            one.version == network.version and one in network
            for one in _faces(address)
            for network in (*self.networks, *here)
        )


def network(entry: str) -> Network | None:
    """None is for what may be a name. Raises ValueError for a network with an address in it, such as `10.1.2.3/8`."""
    try:
        return ipaddress.ip_network(entry, strict=False) if "/" not in entry else ipaddress.ip_network(entry)
    except ValueError:
        if "/" in entry:
            raise ValueError(f"{entry!r} is no network; write one such as 10.0.0.0/8") from None
        return None


def is_public(address: Address) -> bool:
    """Whether it is everybody's, and not a private, local, reserved or multicast one in whatever disguise.

    `ipaddress.is_global` does not see through NAT64, 6to4 and mapped addresses.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_4)
    if inner := _inner(address):
        return is_public(inner)
    if address not in _OPEN_6 or any(address in network for network in _CLOSED_6):
        return False
    # An interface's address may name an IPv4 one to tunnel to (RFC 5214).
    interface = int(address) & 0xFFFF_FFFF_FFFF_FFFF
    if (interface >> 32) & 0xFDFF_FFFF == _ISATAP:
        return is_public(IPv4Address(interface & 0xFFFF_FFFF))
    return True


def is_closed_port(port: int) -> bool:
    """Whether it is known for something else than HTTP."""
    return port in _CLOSED_PORTS


def is_here(host: str, opening: Opening) -> bool:
    """Whether the name can only mean this machine, and that is not open."""
    return _is_local(host.rstrip(".").lower()) and not opening.named(host)


def read_host(host: str) -> Address | None:
    """The address that a host of a URL writes out, None for a name. Raises ValueError for an odd spelling of one.

    An address has one spelling. Others, such as `127.1` and `0x7f000001`, are read by some as addresses and by others
    as names, and stand in a URL only to deceive.
    """
    try:
        if ":" in host and "%" not in host:
            return IPv6Address(host)
        if ":" not in host and not _NUMBER.match(host.rstrip(".").rpartition(".")[2].lower()):
            return None
        return IPv4Address(host)
    except ValueError:
        raise ValueError(f"{host!r} is no address as it is usually written") from None


def is_name(host: str) -> bool:
    """Whether it can be looked up. `host` has been through IDNA."""
    return len(host) <= 254 and _NAME.match(host.lower().removesuffix(".")) is not None


def _name(entry: str) -> str:
    name = entry.lower().removesuffix(".")
    if not is_name(name) or _NUMBER.match(name.rpartition(".")[2]):
        raise ValueError(f"{entry!r} is neither a network such as 10.0.0.0/8 nor the name of a host")
    return name


def _is_local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _faces(address: Address) -> tuple[Address, ...]:
    inner = _inner(address) if isinstance(address, IPv6Address) else None
    return (address, inner) if inner else (address,)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that is reached by it."""
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
