import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhooks.receiver import Receiver
from webhooks.addresses import AllowedNetworks, UrlRefused, check_url, is_public, reachable
from webhooks.http_client import WebhookSender

NOWHERE = AllowedNetworks()
LOOPBACK = AllowedNetworks.of(["127.0.0.1"])

PRIVATE = (
    "127.0.0.1 127.8.8.8 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 192.0.0.1 192.0.2.1 "
    "198.18.0.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 ::1 :: ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 "
    "::ffff:169.254.169.254 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::a00:1 2002:7f00:1:: 2002:a00:1:: "
    "fe80::1 fec0::1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1 2001:0:7f00:1::1"
).split()
PUBLIC = "8.8.8.8 1.1.1.1 93.184.216.34 2606:4700:4700::1111 ::ffff:8.8.8.8".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused_in_every_form(address: str) -> None:
    with pytest.raises(UrlRefused):
        reachable([address], NOWHERE, is_plain=False)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(UrlRefused):
        check_url(f"https://{host}/hook", NOWHERE)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_reached(address: str) -> None:
    assert reachable([address], NOWHERE, is_plain=False) == [address.removeprefix("::ffff:")]


@given(st.ip_addresses(v=4))
def test_an_address_inside_ipv6_is_as_private_as_outside_of_it(address: object) -> None:
    assert isinstance(address, IPv4Address)
    number = int(address)
    mapped, nat64, six_to_four = (
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
    )
    if not is_public(address):
        assert not any(is_public(each) for each in (mapped, nat64, six_to_four))


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "0x7f.0x0.0x0.0x1",
        "256.1.1.1",
        "127.0.0.01",
        "[::1%25lo]",
        "a..b",
        "-a.example",
        "exa mple.com",
    ],
)
def test_an_unusual_spelling_of_a_host_is_refused(host: str) -> None:
    with pytest.raises(UrlRefused):
        check_url(f"https://{host}/hook", LOOPBACK)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/hook",
        "https:///hook",
        "https://user:secret@example.com/",
        "https://user@127.0.0.1@example.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/#secret",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://ex\u00e4mple.com/",
        "https://example.com/\r\nHost: other",
        "https://" + "a" * 3000,
        "//example.com",
        "javascript:alert(1)",
    ],
)
def test_a_url_that_no_webhook_goes_to_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        check_url(url, NOWHERE)


def test_an_allowed_network_may_be_reached_also_in_plain_http() -> None:
    check_url("http://127.0.0.1:9000/hook", LOOPBACK)
    check_url("http://localhost:9000/hook", LOOPBACK)
    assert reachable(["127.0.0.1"], LOOPBACK, is_plain=True) == ["127.0.0.1"]
    assert reachable(["::ffff:127.0.0.1"], LOOPBACK, is_plain=True) == ["127.0.0.1"]
    for elsewhere in ("127.0.0.2", "10.0.0.1", "8.8.8.8"):
        with pytest.raises(UrlRefused):
            reachable([elsewhere], LOOPBACK, is_plain=True)


def test_one_private_address_among_public_ones_is_refused() -> None:
    with pytest.raises(UrlRefused, match="not public"):
        reachable(["8.8.8.8", "10.0.0.1"], NOWHERE, is_plain=False)


async def test_a_name_is_resolved_once_and_reached_at_that_address() -> None:
    """The second answer of the name server would be a private address."""
    asked = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    async with Receiver.running() as receiver:
        url = f"http://hooks.example:{receiver.port}/"
        async with WebhookSender(LOOPBACK, rebinding).to(url) as connections:
            answers = await asyncio.gather(*(connections.post({"webhook-id": f"evt_{n}"}, "{}") for n in range(5)))
    assert [answer.status for answer in answers] == [204] * 5
    assert asked == [("hooks.example", receiver.port)]


@pytest.mark.parametrize("found", ["127.0.0.1", "::1", "::ffff:10.0.0.1", "169.254.169.254"])
async def test_a_name_with_a_private_address_is_never_connected_to(found: str) -> None:
    async def resolved(host: str, port: int) -> Sequence[str]:
        return [found]

    async with WebhookSender(NOWHERE, resolved).to("https://hooks.example/") as connections:
        answer = await connections.post({}, "{}")
    assert answer.status is None
    assert answer.error == "The host has an address that is not public."


async def test_a_redirect_is_not_followed() -> None:
    async with Receiver.running() as receiver:
        receiver.answers = [(302, {"Location": f"http://127.0.0.1:{receiver.port}/other"}, b"")]
        async with WebhookSender(LOOPBACK).to(receiver.url) as connections:
            answer = await connections.post({"webhook-id": "evt_1"}, "{}")
    assert (answer.status, answer.accepted, len(receiver.received)) == (302, False, 1)


async def test_an_endless_answer_is_cut_short() -> None:
    async with Receiver.running() as receiver:
        receiver.answers = [(200, {}, b"x" * 1_000_000)]
        async with WebhookSender(LOOPBACK).to(receiver.url) as connections:
            answer = await connections.post({"webhook-id": "evt_1"}, "{}")
    assert answer.response == "x" * 1024
    assert answer.accepted
