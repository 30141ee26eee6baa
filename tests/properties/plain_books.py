"""The ledger as plain numbers in memory: what every step should answer, and what the books should say afterwards.

Written from what Remit promises and never from `ledger/rules.py`: two descriptions of one thing that check each other.
Disputes are not here: who may say what is theirs, and the reversal that one ends in is a reversal like any other.
Names stand for ids (`ann.JPY`, `ann-1`), and states and refusals are plain words, so that a difference can be read.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

WORLD = "world"
NOBODY = "nobody"
MOST = 2**53 - 1

MAY_BECOME = {
    "initiated": {"in_review", "debited", "failed", "cancelled"},
    "in_review": {"debited", "failed", "cancelled"},
    "debited": {"completed", "compensated"},
    "completed": set(),
    "compensated": {"initiated"},
    "failed": {"initiated"},
    "cancelled": set(),
}

# Of ann's accounts; ben's have none. All of a story happens in one day, so the month's total alone limits KRW.
LIMITS = {
    "JPY": {"one_transaction": 99, "daily_total": 120, "monthly_total": None, "highest_balance": 150},
    "KRW": {"one_transaction": None, "daily_total": None, "monthly_total": 40, "highest_balance": 60},
}

# Whose identity nobody has verified: money comes in, and leaves only by being brought back.
UNVERIFIED = "cyn"

DECIDED_FIRST = (
    "account_not_found",
    "same_account",
    "currency_mismatch",
    "account_closed",
    "account_frozen",
    "identity_not_verified",
    "limit_exceeded",
    "insufficient_funds",
    "balance_limit_exceeded",
)


@dataclass(frozen=True)
class TransferRequest:
    """What a customer asks for under a key of theirs: `name` is `ann-1`, the first key of ann."""

    name: str
    source: str
    destination: str
    amount: int
    currency: str
    transaction_id: str | None = None
    reverses: str | None = None

    @property
    def owner(self) -> str:
        return self.name.partition("-")[0]

    @property
    def reference(self) -> tuple[str, str] | None:
        """Names one movement of one account, whatever the key."""
        if self.transaction_id is None:
            return None
        return (self.destination if self.source == WORLD else self.source, self.transaction_id)

    @property
    def movement(self) -> tuple[str, str, str, int, str]:
        """What a repeated reference must have in common with the first: whose, from where to where, and how much."""
        return (self.owner, self.source, self.destination, self.amount, self.currency)

    def __str__(self) -> str:
        reference = f", {self.transaction_id!r}" if self.transaction_id else ""
        reference += f", bringing back {self.reverses}" if self.reverses else ""
        return f"{self.name}: {self.amount} {self.currency} from {self.source} to {self.destination}{reference}"


@dataclass(frozen=True)
class Open:
    wish: TransferRequest

    def __str__(self) -> str:
        return f"open {self.wish}"


@dataclass(frozen=True)
class Move:
    """`debit`, `credit`, `refund`, `fail` or `cancel` of an opened transfer; the last three may have a reason."""

    verb: str
    name: str
    reason: str | None = None
    attempt: int = 1

    def __str__(self) -> str:
        attempt = f", attempt {self.attempt}" if self.attempt != 1 else ""
        return f"{self.verb} {self.name}{attempt}" + (f" because of {self.reason}" if self.reason else "")


@dataclass(frozen=True)
class SetStatus:
    account: str
    status: str

    def __str__(self) -> str:
        return f"make {self.account} {self.status}"


Step = Open | Move | SetStatus


@dataclass(frozen=True)
class AtOnce:
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "at once: " + " | ".join(map(str, self.steps))


@dataclass(frozen=True)
class Answer:
    """What a step says. `foreseen` is the advice that comes with `open`: read without a lock, so no promise."""

    said: str
    foreseen: str | None = None


@dataclass(frozen=True)
class Known:
    wish: TransferRequest
    state: str = "initiated"
    reason: str | None = None
    attempt: int = 1

    @property
    def standing(self) -> str:
        return f"{self.state} ({self.reason})" if self.reason else self.state


@dataclass(frozen=True)
class Picture:
    """All that can be seen of the books: per account balance, number of entries, status, sent; every transfer."""

    accounts: dict[str, tuple[int, int, str, int]]
    transfers: dict[str, str]


@dataclass(frozen=True)
class Sums:
    currency: str
    accounts: int
    entries: int
    customers: int
    in_transit: int
    world: int


class Refused(Exception):
    pass


class PlainBooks:
    def __init__(self, accounts: Iterable[str]) -> None:
        self.balance = dict.fromkeys(accounts, 0)
        self.entries = dict.fromkeys(self.balance, 0)
        self.status = dict.fromkeys(self.balance, "active")
        self.sent = dict.fromkeys(self.balance, 0)
        self.transfers: dict[str, Known] = {}
        # By key: the request that has it, and the transfer that it names.
        self.keys: dict[str, tuple[TransferRequest, str]] = {}
        self.in_transit: Counter[str] = Counter()
        self.world: Counter[str] = Counter()

    def copy(self) -> "PlainBooks":
        twin = PlainBooks(())
        twin.balance, twin.entries, twin.status = self.balance.copy(), self.entries.copy(), self.status.copy()
        twin.keys, twin.sent = self.keys.copy(), self.sent.copy()
        twin.transfers, twin.in_transit, twin.world = self.transfers.copy(), self.in_transit.copy(), self.world.copy()
        return twin

    def take(self, step: Step) -> Answer:
        try:
            if isinstance(step, Open):
                return self._open(step.wish)
            if isinstance(step, Move):
                return Answer(self._move(step))
            return Answer(self._set_status(step))
        except Refused as answer:
            return Answer(str(answer))

    def orders(self, steps: Sequence[Step], answers: Sequence[Answer]) -> Iterator["PlainBooks"]:
        """The books after each order of these steps that gives every one the answer it got."""
        if not steps:
            yield self
        for i, (step, answer) in enumerate(zip(steps, answers, strict=True)):
            books = self.copy()
            if books.take(step).said == answer.said:
                yield from books.orders([*steps[:i], *steps[i + 1 :]], [*answers[:i], *answers[i + 1 :]])

    def picture(self) -> Picture:
        return Picture(
            {
                name: (self.balance[name], self.entries[name], self.status[name], self.sent[name])
                for name in self.balance
            },
            {name: f"{known.standing}, attempt {known.attempt}" for name, known in self.transfers.items()},
        )

    def sums(self) -> list[Sums]:
        found = []
        for currency in sorted({_currency(name) for name in self.balance} | self.world.keys() | self.in_transit.keys()):
            mine = [name for name in self.balance if _currency(name) == currency]
            entries, customers = sum(self.entries[name] for name in mine), sum(self.balance[name] for name in mine)
            found.append(Sums(currency, len(mine), entries, customers, self.in_transit[currency], self.world[currency]))
        return found

    def by_state(self) -> dict[str, int]:
        return dict(Counter(known.state for known in self.transfers.values()))

    def _open(self, wish: TransferRequest) -> Answer:
        self._unless_irreversible(wish)
        foreseen = self._first(self._foreseen(wish))
        if wish.name in self.keys:
            first, name = self.keys[wish.name]
            if first != wish:
                raise Refused("conflict: the key belongs to another request")
            standing = self.transfers[name].standing
            return Answer(standing if name == wish.name else f"the same as {name}: {standing}", foreseen)
        for name, other in self.transfers.items():
            if wish.reference and other.wish.reference == wish.reference and _takes(other):
                if wish.movement == other.wish.movement:
                    self.keys[wish.name] = (wish, name)
                return Answer(f"the same as {name}: {other.standing}", foreseen)
        self.keys[wish.name] = (wish, wish.name)
        if wish.reverses and wish.amount > self._left_of(wish.reverses):
            self.transfers[wish.name] = Known(wish, "failed", "limit_exceeded")
            return Answer("failed (limit_exceeded)")
        self.transfers[wish.name] = Known(wish)
        return Answer("initiated", foreseen)

    def _unless_irreversible(self, wish: TransferRequest) -> None:
        """Only what went from one customer to another comes back, by the way it went, and is no reversal itself."""
        if wish.reverses is None:
            return
        if wish.reverses not in self.transfers:
            raise Refused("conflict: never opened")
        first = self.transfers[wish.reverses]
        back = replace(wish, name=first.wish.name, amount=first.wish.amount, reverses=None)
        there = replace(first.wish, source=first.wish.destination, destination=first.wish.source)
        if first.state != "completed" or WORLD in (wish.source, wish.destination) or back != there:
            raise Refused("conflict: cannot be brought back")

    def _left_of(self, name: str) -> int:
        """What no reversal has brought back or is bringing back."""
        taken = [
            known.wish.amount for known in self.transfers.values() if known.wish.reverses == name and _takes(known)
        ]
        return self.transfers[name].wish.amount - sum(taken)

    def _move(self, step: Move) -> str:
        known = self.transfers.get(step.name)
        if known is None:
            raise Refused("conflict: never opened")
        if step.attempt != known.attempt:
            raise Refused(f"conflict: not from {known.state}")
        match step.verb:
            case "debit":
                return self._debit(known)
            case "credit":
                return self._credit(known)
            case "refund":
                return self._refund(known, step.reason)
            case verb:
                return self._end(known, {"fail": "failed", "cancel": "cancelled"}[verb], step.reason)

    def _debit(self, known: Known) -> str:
        if known.state in ("debited", "completed", "compensated"):
            return known.standing
        wish = known.wish
        self._may(known, "debited")
        self._unless(self._against(wish, wish.source, -wish.amount))
        self._pay(wish.source, wish.currency, -wish.amount)
        self._count(wish, wish.amount)
        self.in_transit[wish.currency] += wish.amount
        return self._becomes(known, "debited")

    def _credit(self, known: Known) -> str:
        if known.state == "completed":
            return known.standing
        wish = known.wish
        self._may(known, "completed")
        self._unless(self._against(wish, wish.destination, wish.amount))
        self.in_transit[wish.currency] -= wish.amount
        self._pay(wish.destination, wish.currency, wish.amount)
        return self._becomes(known, "completed")

    def _refund(self, known: Known, reason: str | None) -> str:
        if known.state in ("compensated", "failed", "cancelled"):
            return known.standing
        if known.state != "debited":  # nothing was taken, and nothing may be taken later
            return self._end(known, "cancelled", reason)
        wish = known.wish
        self._may(known, "compensated")
        self.in_transit[wish.currency] -= wish.amount
        self._pay(wish.source, wish.currency, wish.amount)
        self._count(wish, -wish.amount)
        return self._becomes(known, "compensated", reason)

    def _end(self, known: Known, state: str, reason: str | None) -> str:
        if known.state == state:
            return known.standing
        self._may(known, state)
        return self._becomes(known, state, reason)

    def _set_status(self, step: SetStatus) -> str:
        if step.account not in self.balance:
            raise Refused("refused: account_not_found")
        self.status[step.account] = step.status
        return step.status

    def _pay(self, account: str, currency: str, amount: int) -> None:
        if account == WORLD:
            self.world[currency] += amount
        else:
            self.balance[account] += amount
            self.entries[account] += 1

    def _count(self, wish: TransferRequest, amount: int) -> None:
        """What is brought back does not count, and neither does what comes from outside."""
        if wish.source != WORLD and wish.reverses is None:
            self.sent[wish.source] += amount

    def _becomes(self, known: Known, state: str, reason: str | None = None) -> str:
        after = replace(known, state=state, reason=reason)
        self.transfers[known.wish.name] = after
        return after.standing

    def _may(self, known: Known, state: str) -> None:
        if state not in MAY_BECOME[known.state]:
            raise Refused(f"conflict: not from {known.state}")

    def _unless(self, codes: set[str]) -> None:
        if code := self._first(codes):
            raise Refused(f"refused: {code}")

    def _foreseen(self, wish: TransferRequest) -> set[str]:
        same = {"same_account"} if wish.source == wish.destination else set()
        source, destination = (
            self._against(wish, wish.source, -wish.amount),
            self._against(wish, wish.destination, wish.amount),
        )
        return same | source | destination

    def _against(self, wish: TransferRequest, account: str, change: int) -> set[str]:
        """Every code that speaks against changing this account's balance for this wish."""
        if account == WORLD:
            return set()
        if account not in self.balance:
            return {"account_not_found"}
        after = self.balance[account] + change
        return {
            code
            for code, applies in {
                "currency_mismatch": _currency(account) != wish.currency,
                "account_closed": self.status[account] == "closed",
                "account_frozen": self.status[account] == "frozen",
                "identity_not_verified": change < 0 and not wish.reverses and account.startswith(f"{UNVERIFIED}."),
                "limit_exceeded": change < 0 and self._sends_too_much(wish, account),
                "insufficient_funds": after < 0,
                "balance_limit_exceeded": change > 0 and after > self._most(wish, account),
            }.items()
            if applies
        }

    def _sends_too_much(self, wish: TransferRequest, account: str) -> bool:
        if wish.reverses or not account.startswith("ann."):
            return False
        limits, sent = LIMITS[_currency(account)], self.sent[account] + wish.amount
        totals = [limits["daily_total"], limits["monthly_total"]]
        return any(most is not None and sent > most for most in totals) or wish.amount > (
            limits["one_transaction"] or MOST
        )

    @staticmethod
    def _most(wish: TransferRequest, account: str) -> int:
        limited = account.startswith("ann.") and wish.reverses is None
        return (limited and LIMITS[_currency(account)]["highest_balance"]) or MOST

    @staticmethod
    def _first(codes: set[str]) -> str | None:
        return min(codes, key=DECIDED_FIRST.index, default=None)


def _takes(known: Known) -> bool:
    return known.state not in ("failed", "cancelled", "compensated")


def _currency(account: str) -> str:
    return account.partition(".")[2]
