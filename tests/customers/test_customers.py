"""Customers register once for each address, and staff search them by it."""

import pytest

from customers.customer import EmailTaken
from customers.postgres import Customers


async def test_customers_are_found_by_a_prefix_of_their_address(customers: Customers) -> None:
    names = ["a%b@example.com", "a_b@example.com", "ab@example.com", "abc@example.com", "b@example.com"]
    for name in names:
        await customers.register(name, "-", name, "NIN", "12345678901", "USD")
    for prefix, found in (("", names), ("ab", names[2:4]), ("a_", names[1:2]), ("a%", names[:1]), ("c", [])):
        assert [customer.email for customer in (await customers.search(prefix, "", 50)).items] == found
    assert [customer.email for customer in (await customers.search("a", names[1], 1)).items] == names[2:3]
    with pytest.raises(EmailTaken):
        await customers.register(names[0], "-", "", "NIN", "1", "USD")
