"""Who sends money to whom: the accounts of a run, and how a load chooses among them."""

import itertools
import json
import random
from bisect import bisect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from api.transfers.acceptance import TransferRequest, order_for
from ledger.ids import AccountId, CustomerId
from ledger.transfers import TransferOrder

CURRENCY = "USD"
AMOUNT_MINOR = 100
PASSWORD = "correct horse battery"  # noqa: S105 - of customers that exist during a run
ZIPF_EXPONENT = 1.1


@dataclass(frozen=True, slots=True)
class Holder:
    """A customer with one account, a token that outlasts the run, and the password of all."""

    customer_id: CustomerId
    account_id: AccountId
    token: str
    email: str = ""


class Choice(StrEnum):
    """Which two accounts a transfer is between."""

    UNIFORM = "uniform"
    HOT_PAYEE = "hot payee"
    HOT_PAYER = "hot payer"
    TEN_ACCOUNTS = "ten accounts"
    ZIPF = "Zipf"


Pair = tuple[Holder, Holder]


def pairs(choice: Choice, holders: list[Holder], seed: int) -> Callable[[], Pair]:
    """Draws (source, destination), never the same account twice in a pair. The same seed draws the same pairs."""
    chance = random.Random(seed)  # noqa: S311 - the same pairs again, not a secret
    some = holders[:10] if choice is Choice.TEN_ACCOUNTS else holders
    hot, rest = holders[0], holders[1:]
    weights = list(itertools.accumulate(1 / rank**ZIPF_EXPONENT for rank in range(1, len(holders) + 1)))

    def by_rank() -> Holder:
        return holders[bisect(weights, chance.random() * weights[-1])]

    def two(draw: Callable[[], Holder]) -> Pair:
        source = destination = draw()
        while destination is source:
            destination = draw()
        return source, destination

    match choice:
        case Choice.HOT_PAYEE:
            return lambda: (chance.choice(rest), hot)
        case Choice.HOT_PAYER:
            return lambda: (hot, chance.choice(rest))
        case Choice.ZIPF:
            return lambda: two(by_rank)
        case _:
            return lambda: two(lambda: chance.choice(some))


def order_between(pair: Pair, key: str) -> TransferOrder:
    """The order that the API would make from the same request."""
    source, destination = pair
    wanted = TransferRequest(source.account_id, destination.account_id, AMOUNT_MINOR, CURRENCY)
    return order_for(source.customer_id, key, wanted)


def save(holders: list[Holder], path: Path) -> None:
    """Write the accounts for the other processes of a run. The file is private: it contains tokens."""
    path.touch(mode=0o600)
    path.write_text(json.dumps([asdict(holder) for holder in holders]))


def read(path: Path) -> list[Holder]:
    """The accounts of the run."""
    return [Holder(**entry) for entry in json.loads(path.read_text())]
