"""Customers register once for each address, staff search them by it, and it stays out of PostgreSQL's log."""

import secrets

import pytest

from customers.customer import EmailTaken
from customers.postgres import Customers
from database.connections import Database
from devenv.servers.postgres_server import PostgresServer
from tests.connections import Connection
from tests.orders import DOCUMENT, ENCRYPTION


async def test_customers_are_found_by_a_prefix_of_their_address(customers: Customers) -> None:
    names = ["a%b@example.com", "a_b@example.com", "ab@example.com", "abc@example.com", "b@example.com"]
    made = [(await customers.register(name, "-", name, DOCUMENT, "USD"))[0] for name in names]
    for prefix, found in (("", names), ("ab", names[2:4]), ("a_", names[1:2]), ("a%", names[:1]), ("c", [])):
        assert [customer.email for customer in (await customers.search(prefix, None, 50)).items] == found
    assert [customer.email for customer in (await customers.search("a", made[1].id, 1)).items] == names[2:3]
    with pytest.raises(EmailTaken):
        await customers.register(names[0], "-", "", DOCUMENT, "USD")


async def test_an_address_never_reaches_the_log_of_postgresql(
    customers: Customers, postgres: PostgresServer, database_url: str, owner: Connection
) -> None:
    address = f"{secrets.token_hex(8)}@example.com"
    await owner.execute("SET log_statement = 'all'")
    await owner.execute(f"ALTER DATABASE {database_url.rpartition('/')[2]} SET log_min_duration_statement = 0")
    async with Database(database_url, 1) as logged:
        theirs = Customers(logged, encryption=ENCRYPTION)
        await theirs.register(address, "-", "Ada Obi", DOCUMENT, "USD")
        with pytest.raises(EmailTaken):
            await theirs.register(address, "-", "Ada Obi", DOCUMENT, "USD")
        assert (await theirs.search(address[:12], None, 5)).items
    await owner.execute("SELECT 'the end of this test'")
    log = postgres.log.read_text()
    assert "INSERT INTO customers" in log
    assert address not in log
