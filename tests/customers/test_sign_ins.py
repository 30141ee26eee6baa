"""How long sign-ins wait after failed ones, for all processes together, and that nobody can keep somebody else out."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from customers.customer import Customer
from customers.postgres import Customers
from customers.sign_ins.backoff import (
    FAILURES_PER_NETWORK,
    FORGOTTEN_AFTER,
    FREE_FAILURES,
    LONGEST_WAIT,
    Failures,
    account_named,
    account_wait,
    network_wait,
    wait_after,
)
from customers.sign_ins.events import AuthEventKind
from customers.sign_ins.networks import client_at, trusted_networks
from customers.sign_ins.postgres import AuthEventSearch, SignInAttempt, SignIns
from database.connections import Database
from tests.connections import Connection
from tests.orders import DOCUMENT

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOTHING = timedelta(0)


@pytest.fixture
def sign_ins(database: Database) -> SignIns:
    return SignIns(database)


@pytest.fixture
async def ada(customers: Customers) -> Customer:
    return (await customers.register("ada@example.com", "-", "Ada Obi", DOCUMENT, "USD"))[0]


def attempt(host: str, email: str = "ada@example.com") -> SignInAttempt:
    return SignInAttempt(client_at(host), account_named(email))


async def fail(sign_ins: SignIns, tried: SignInAttempt, times: int) -> None:
    for _ in range(times):
        await sign_ins.record_failure(tried, None)


async def kinds(sign_ins: SignIns, **wanted: object) -> list[AuthEventKind]:
    """The events, oldest first."""
    page = await sign_ins.find(AuthEventSearch(**wanted), 50)  # type: ignore[arg-type]
    return [event.kind for event in page.items[::-1]]


def test_a_wait_doubles_with_each_failure_and_never_becomes_a_lock() -> None:
    waits = [wait_after(failures) for failures in range(1, FREE_FAILURES + 12)]
    assert waits[:FREE_FAILURES] == [NOTHING] * FREE_FAILURES
    seconds = [wait // timedelta(seconds=1) for wait in waits[FREE_FAILURES:]]
    assert seconds == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert wait_after(10**9) == LONGEST_WAIT


def test_a_wait_ends_and_failures_are_forgotten() -> None:
    known = Failures(FREE_FAILURES + 3, NOW, NOW)
    assert [account_wait(known, NOW + timedelta(seconds=later)) for later in (0, 4)] == [timedelta(seconds=4), NOTHING]
    assert account_wait(known, NOW + FORGOTTEN_AFTER) == account_wait(None, NOW) == NOTHING
    network = Failures(FAILURES_PER_NETWORK, NOW, NOW + timedelta(seconds=60))
    assert network_wait(network, NOW + timedelta(seconds=60)) == timedelta(seconds=240)
    assert network_wait(Failures(FAILURES_PER_NETWORK - 1, NOW, NOW), NOW) == NOTHING


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
        ("x" * 4_000, "x" * 100),
    ],
)
def test_a_client_is_the_same_however_its_address_is_written(host: str, network: str) -> None:
    assert client_at(host).network == network


def test_trusted_networks_hold_for_servers_that_listen_on_ipv6() -> None:
    assert trusted_networks(" 10.0.0.0/8, 192.0.2.1,, 2001:db8::/32") == [
        "10.0.0.0/8",
        "::ffff:10.0.0.0/104",
        "192.0.2.1/32",
        "::ffff:192.0.2.1/128",
        "2001:db8::/32",
    ]
    with pytest.raises(ValueError, match="proxy"):
        trusted_networks("proxy.internal")


async def test_failures_of_one_client_delay_nobody_else_at_the_same_account(sign_ins: SignIns) -> None:
    await fail(sign_ins, attempt("192.0.2.1"), FREE_FAILURES + 5)
    assert timedelta(seconds=15) < await sign_ins.wait(attempt("192.0.2.1")) <= timedelta(seconds=16)
    assert await sign_ins.wait(attempt("::ffff:192.0.2.1", " ADA@example.com")) > NOTHING
    assert await sign_ins.wait(attempt("192.0.2.2")) <= NOTHING
    assert await sign_ins.wait(attempt("192.0.2.1", "ben@example.com")) <= NOTHING


async def test_a_success_forgets_failures(sign_ins: SignIns, ada: Customer) -> None:
    await fail(sign_ins, attempt("192.0.2.1"), FREE_FAILURES)
    await sign_ins.record_success(attempt("192.0.2.1"), ada.id)
    await fail(sign_ins, attempt("192.0.2.1"), FREE_FAILURES)
    assert await sign_ins.wait(attempt("192.0.2.1")) <= NOTHING


async def test_all_processes_count_together(database: Database, database_url: str) -> None:
    async with Database(database_url, 4) as other:
        processes = [SignIns(database), SignIns(other)]
        tried = attempt("192.0.2.1")
        await asyncio.gather(*(each.record_failure(tried, None) for each in processes * 4))
        waits = [await each.wait(tried) for each in processes]
    assert all(timedelta(seconds=6) < wait <= wait_after(8) for wait in waits)


async def test_a_network_that_fails_everywhere_waits_except_where_it_has_signed_in(
    sign_ins: SignIns, ada: Customer, owner: Connection
) -> None:
    await sign_ins.record_success(attempt("192.0.2.1"), ada.id)
    for n in range(FAILURES_PER_NETWORK):
        await sign_ins.record_failure(attempt("192.0.2.1", f"{n}@example.com"), None)
    assert await sign_ins.wait(attempt("192.0.2.1", "more@example.com")) > timedelta(seconds=200)
    assert await sign_ins.wait(attempt("192.0.2.1")) <= NOTHING
    await owner.execute("UPDATE sign_in_failures SET since = since - interval '5 minutes'")
    assert await sign_ins.wait(attempt("192.0.2.1", "more@example.com")) <= NOTHING
    await sign_ins.record_failure(attempt("192.0.2.1", "more@example.com"), None)
    assert await owner.fetchval("SELECT failures FROM sign_in_failures WHERE account = ''") == 1


async def test_many_networks_of_one_ipv6_site_guess_no_more_than_one_network(
    sign_ins: SignIns, ada: Customer, owner: Connection
) -> None:
    await sign_ins.record_success(attempt("2001:db8:0:ffff::1"), ada.id)
    for n in range(FAILURES_PER_NETWORK):
        await sign_ins.record_failure(attempt(f"2001:db8:0:{n:x}::1"), None)
    assert await sign_ins.wait(attempt("2001:db8:0:aaaa::1")) > timedelta(seconds=200)
    assert await sign_ins.wait(attempt("2001:db8:0:ffff::1")) <= NOTHING, "its people have signed in there"
    assert await sign_ins.wait(attempt("2001:db8:1::1")) <= NOTHING
    await owner.execute("UPDATE sign_in_failures SET since = since - interval '5 minutes'")
    assert await sign_ins.wait(attempt("2001:db8:0:aaaa::1")) <= NOTHING


async def test_failures_that_are_over_leave_the_table(sign_ins: SignIns, owner: Connection) -> None:
    for n in range(5):
        await sign_ins.record_failure(attempt(f"192.0.2.{n}"), None)
    await owner.execute("UPDATE sign_in_failures SET failed_at = failed_at - $1::interval", FORGOTTEN_AFTER)
    await sign_ins.record_failure(attempt("192.0.2.99"), None)
    assert await owner.fetchval("SELECT count(*) FROM sign_in_failures") == 2


async def test_the_trail_holds_each_failure_the_lock_out_and_a_refusal_a_minute(
    sign_ins: SignIns, ada: Customer
) -> None:
    tried = attempt("192.0.2.1")
    for _ in range(FREE_FAILURES + 1):
        await sign_ins.record_failure(tried, ada.id)
    for _ in range(3):
        await sign_ins.record_refusal(tried, 1)
    await sign_ins.record_refusal(attempt("192.0.2.2"), 1)
    found = await kinds(sign_ins)
    failed, refused = AuthEventKind.SIGN_IN_FAILED, AuthEventKind.SIGN_IN_REFUSED
    assert sorted(found) == sorted([failed] * (FREE_FAILURES + 1) + [AuthEventKind.LOCKED_OUT] + [refused] * 2)
    assert (await kinds(sign_ins, customer_id=ada.id, kind=AuthEventKind.LOCKED_OUT)) == [AuthEventKind.LOCKED_OUT]


async def test_nobody_edits_the_trail_and_the_application_removes_nothing_of_it(
    sign_ins: SignIns, ada: Customer, database: Database, owner: Connection
) -> None:
    await sign_ins.record_success(attempt("192.0.2.1"), ada.id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await owner.execute("UPDATE auth_events SET client = '192.0.2.2'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        async with database.connection() as connection:
            await connection.execute("DELETE FROM auth_events")
    await owner.execute("DELETE FROM auth_events")
