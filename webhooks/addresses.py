"""Which hosts and addresses a webhook may be sent to. Pure: names are resolved elsewhere.

Whoever registers an endpoint chooses where this service connects to. So only public addresses count, and networks that
the installation names. A name is judged by the addresses that it has at the moment of the connection.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from ledger.refusals import ActionRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MOST_URL_CHARACTERS = 2000

# An IPv4 address inside an IPv6 one (RFC 6052, RFC 4291 2.5.5.1): a gateway would unpack it.
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = IPv6Network("::/96")

_DOTTED = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
# What an address in another spelling ends in (WHATWG URL, "ends in a number"): 2130706433, 0x7f.1, 017700000001.
_NUMBER = re.compile(r"(\d+|0[xX][0-9a-fA-F]*)")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


@dataclass(eq=False)
class UrlRefused(ActionRefused):
    """No webhook is sent to this URL. The text says why, in words for whoever registered it."""

    code = "webhook_url_refused"
    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class AllowedNetworks:
    """What may be reached beside public addresses: networks of the installation's own. There HTTP may be plain, too."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str]) -> "AllowedNetworks":
        """From texts like `10.1.0.0/16` and `127.0.0.1`. Raises `ValueError`."""
        return cls(tuple(ip_network(name, strict=False) for name in names))

    def names(self, address: Address) -> bool:
        """Whether the installation names this address."""
        return any(address.version == network.version and address in network for network in self.networks)

    def may_reach(self, address: Address) -> bool:
        """Whether a webhook may go to this address."""
        return self.names(plain(address)) or is_public(address)


def plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does so without a doubt."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_public(address: Address) -> bool:
    """Whether this is an address of the public internet, also the IPv4 address inside an IPv6 one."""
    return all(_is_global(each) for each in (address, *_inside(address)))


def _is_global(address: Address) -> bool:
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address in _COMPATIBLE):
        # The one inside decides about a mapped address. The unspecified one and loopback are among the compatible.
        return address.ipv4_mapped is not None
    is_local = address.is_loopback or address.is_link_local or (address.version == 6 and address.is_site_local)  # noqa: PLR2004
    return address.is_global and not (address.is_multicast or address.is_reserved or is_local)


def _inside(address: Address) -> Sequence[IPv4Address]:
    if isinstance(address, IPv4Address):
        return ()
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _NAT64):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def literal_address(host: str) -> Address | None:
    """The address that a host is, in its one usual spelling; None: a name. Raises `UrlRefused` for other spellings."""
    if host.startswith("[") or ":" in host:
        text = host.strip("[]")
        if "%" in text:
            raise UrlRefused("The address has a zone, which means something on one machine only.")
        try:
            return ip_address(text)
        except ValueError:
            raise UrlRefused("The host is no IPv6 address.") from None
    if _DOTTED.fullmatch(host):
        try:
            return IPv4Address(host)
        except ValueError:
            raise UrlRefused("The host is no IPv4 address: its numbers are decimal, 0 to 255.") from None
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        raise UrlRefused("The host is an address in an unusual spelling: use four decimal numbers, or a name.")
    return None


def check_url(url: str, allowed: AllowedNetworks) -> None:
    """Raises `UrlRefused` unless webhooks may be sent to this URL, as far as its text tells.

    The addresses of a name are checked when it is resolved, before each connection.
    """
    if len(url) > MOST_URL_CHARACTERS or not url.isascii() or any(ord(each) <= ord(" ") for each in url):
        raise UrlRefused(f"Give at most {MOST_URL_CHARACTERS} printable ASCII characters, others as %XX.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UrlRefused("This is no URL.") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise UrlRefused("Give a whole URL, like https://example.com/webhooks.")
    if parts.username is not None or parts.password is not None or "\\" in url:
        raise UrlRefused("Leave out user and password: the signature shows who sends a webhook.")
    if parts.fragment:
        raise UrlRefused("Leave out the fragment behind #: it is never sent.")
    if port == 0:
        raise UrlRefused("Port 0 is no port.")
    _check_host(parts.hostname, allowed, is_plain=parts.scheme == "http")


def _check_host(host: str, allowed: AllowedNetworks, *, is_plain: bool) -> None:
    address = literal_address(host)
    if address is not None:
        if not allowed.may_reach(address):
            raise UrlRefused("The address is not public.")
        if is_plain and not allowed.names(plain(address)):
            raise UrlRefused("Use https: the body tells of money.")
        return
    if not all(_LABEL.fullmatch(label) for label in host.removesuffix(".").split(".")):
        raise UrlRefused("The host is no name that can be resolved.")
    # A plain name may have an address that is allowed: the connection finds out.
    if is_plain and not allowed.networks:
        raise UrlRefused("Use https: the body tells of money.")


def reachable(found: Sequence[str], allowed: AllowedNetworks, *, is_plain: bool) -> list[str]:
    """The addresses that a name was resolved to, if a webhook may go to all of them. Raises `UrlRefused`.

    One private address among public ones is an attack, or a mistake: nothing is sent then.
    """
    addresses = [ip_address(text.partition("%")[0]) for text in dict.fromkeys(found)]
    if not addresses:
        raise UrlRefused("The host has no address.")
    if not all(allowed.may_reach(address) for address in addresses):
        raise UrlRefused("The host has an address that is not public.")
    if is_plain and not all(allowed.names(plain(address)) for address in addresses):
        raise UrlRefused("Use https: the body tells of money.")
    return [str(plain(address)) for address in addresses]
