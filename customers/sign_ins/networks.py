"""Where a request comes from, for limits and for the trail. Pure: no I/O."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

MAX_HOST = 100

# The last addresses whose clients are known: to parse an address of IPv6 takes longer than all else that limits do.
MOST_KNOWN = 1_000


@dataclass(frozen=True, slots=True)
class Client:
    """An address, and the network that counts as one client: of IPv6 the /64, whose addresses one client can use.

    `site` is what one line to the internet may have of such networks: of IPv6 the /48, else the network itself.
    """

    address: str
    network: str
    site: str


@lru_cache(MOST_KNOWN)
def client_at(host: str) -> Client:
    """The client at this address. An IPv4 address inside an IPv6 one is the same client as the bare one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A socket, or something else that a trusted proxy has sent: one client.
        return Client(host[:MAX_HOST], host[:MAX_HOST], host[:MAX_HOST])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        else:
            plain = ipaddress.IPv6Address(int(address))  # without the zone of a link-local one
            network, site = (str(ipaddress.ip_network((plain, bits), strict=False)) for bits in (64, 48))
            return Client(str(plain), network, site)
    return Client(str(address), str(address), str(address))


def trusted_networks(listed: str) -> list[str]:
    """The networks of a list with commas, each also as a server that listens on IPv6 sees its IPv4 addresses.

    Raises `ValueError` for what is no address and no network: a misspelt proxy would not be trusted, silently.
    """
    found: list[str] = []
    for each in filter(None, (part.strip() for part in listed.split(","))):
        network = ipaddress.ip_network(each, strict=False)
        found.append(str(network))
        if isinstance(network, ipaddress.IPv4Network):
            found.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return found
