"""Whatever changes a second factor locks the customer, then the factor, then the codes: no two wait for each other."""

import asyncio

import pytest

from customers.postgres import Customers
from customers.second_factor.postgres import SecondFactors
from customers.sign_ins.networks import client_at
from database.connections import Database
from ledger.ids import CustomerId, new_session_id
from tests.connections import Connection
from tests.orders import DOCUMENT, ENCRYPTION
from tests.waiting import until

CLIENT = client_at("192.0.2.7")
_LOCK_CUSTOMER = "SELECT id FROM customers WHERE id = $1 FOR NO KEY UPDATE"
_LOCK_FACTOR = "SELECT customer_id FROM second_factors WHERE customer_id = $1 FOR NO KEY UPDATE"
_LOCK_CODES = "SELECT customer_id FROM recovery_codes WHERE customer_id = $1 FOR NO KEY UPDATE"


@pytest.fixture
def factors(database: Database) -> SecondFactors:
    return SecondFactors(database, ENCRYPTION)


@pytest.fixture
async def ada(customers: Customers, factors: SecondFactors) -> CustomerId:
    """Who has begun to add a second factor."""
    ada = (await customers.register("ada@example.com", "-", "Ada Obi", DOCUMENT, "USD"))[0].id
    await factors.begin(ada, "JBSWY3DPEHPK3PXP")
    return ada


async def confirmed(factors: SecondFactors, ada: CustomerId) -> bool:
    return await factors.confirm(ada, new_session_id(), lambda _secret, _now: 1, ["mfrg-gzdf"], CLIENT)


async def waits(owner: Connection) -> None:
    async def waiting() -> bool:
        return bool(
            await owner.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
            )
        )

    await until(waiting, "it waits for the row")


async def test_a_confirmation_that_waits_for_the_customer_has_not_locked_the_factor(
    factors: SecondFactors, ada: CustomerId, owner: Connection
) -> None:
    async with owner.transaction():
        await owner.execute(_LOCK_CUSTOMER, ada)
        confirming = asyncio.create_task(confirmed(factors, ada))
        await waits(owner)
        assert await owner.fetchval(f"{_LOCK_FACTOR} NOWAIT", ada) == ada
    assert await confirming


async def test_a_removal_that_waits_for_the_factor_has_not_locked_the_codes(
    factors: SecondFactors, ada: CustomerId, owner: Connection
) -> None:
    assert await confirmed(factors, ada)
    async with owner.transaction():
        await owner.execute(_LOCK_FACTOR, ada)
        removing = asyncio.create_task(factors.remove(ada, CLIENT))
        await waits(owner)
        assert await owner.fetchval(f"{_LOCK_CODES} NOWAIT", ada) == ada
    await removing
    assert not await factors.required_of(ada)
