"""Random stories for the ledger: a few wishes about three customers, steps in any order, repeated, late and at once."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from tests.properties.plain_books import (
    MOST,
    NOBODY,
    UNVERIFIED,
    WORLD,
    AtOnce,
    Move,
    Open,
    SetStatus,
    Step,
    TransferRequest,
)

OWNERS = ("ann", "ben")
# Without minor units, so that a limit may be as small as the amounts.
CURRENCIES = ("JPY", "KRW")
CYNS = f"{UNVERIFIED}.{CURRENCIES[0]}"
ACCOUNTS = (*(f"{owner}.{currency}" for owner in OWNERS for currency in CURRENCIES), CYNS)
REASONS = ("fraud_declined", "account_frozen", None)

# Both have 100 to give from the start, which most stories soon run out of. Their other accounts are empty.
PROLOGUE: tuple[Step, ...] = tuple(
    step
    for request in (
        TransferRequest("ann-0", WORLD, "ann.JPY", 100, "JPY"),
        TransferRequest("ben-0", WORLD, "ben.JPY", 100, "JPY"),
    )
    for step in (Open(request), Move("debit", request.name), Move("credit", request.name))
)


@dataclass(frozen=True)
class Story:
    steps: tuple[Step | AtOnce, ...]

    def _repr_pretty_(self, printer: RepresentationPrinter, _cycle: bool) -> None:
        """How Hypothesis shows the example that it shrank: a step a line."""
        printer.text("".join(f"\n        {step}" for step in self.steps))


@st.composite
def wishes(draw: st.DrawFn) -> TransferRequest:
    """Mostly sensible ones. Keys are few, so that they meet again with other contents."""
    owner, currency = draw(st.sampled_from(OWNERS)), draw(st.sampled_from(["JPY", "JPY", "JPY", "KRW"]))
    other = OWNERS[1 - OWNERS.index(owner)]
    mine = draw(st.sampled_from([f"{owner}.{currency}"] * 12 + [NOBODY, *ACCOUNTS, CYNS, CYNS]))
    theirs = draw(st.sampled_from([f"{other}.{currency}"] * 12 + [NOBODY, *ACCOUNTS, CYNS, CYNS]))
    source, destination = draw(st.sampled_from([(mine, theirs)] * 3 + [(WORLD, mine), (mine, WORLD)]))
    # What goes from an account to itself has a key of its own: it is only ever opened and ended.
    key = "self" if source == destination else draw(st.sampled_from("123"))
    reference = draw(st.sampled_from([None, "ref", "ref"])) if WORLD in (source, destination) else None
    amount = draw(st.sampled_from([10, 1, 7, 20, 30, 50, 99, 100, 101, MOST - 100, MOST]))
    return TransferRequest(f"{owner}-{key}", source, destination, amount, currency, reference)


@st.composite
def pools(draw: st.DrawFn) -> list[TransferRequest]:
    """A few wishes, some of them again under another key, or with another amount under the same key."""
    pool = draw(st.lists(wishes(), min_size=1, max_size=4))
    for request in [request for request in pool if not request.name.endswith("self")]:
        other_amount = replace(request, amount=request.amount % MOST + 1)
        other_key = replace(request, name=f"{request.owner}-4")
        pool += draw(
            st.sampled_from([[], [], [other_key], [other_amount], [replace(other_amount, name=other_key.name)]])
        )
    return pool + draw(reversals(pool))


@st.composite
def reversals(draw: st.DrawFn, pool: list[TransferRequest]) -> list[TransferRequest]:
    """Some that bring back parts of one of these, by either side, some that cannot, and some under a key in use."""
    payer, payee = draw(st.permutations(OWNERS))
    honest = TransferRequest(f"{payer}-8", f"{payer}.JPY", f"{payee}.JPY", draw(st.sampled_from([10, 7, 20])), "JPY")
    first = draw(st.sampled_from([honest] * 5 + [request for request in pool if not request.name.endswith("self")]))
    found = [honest] if first == honest else []
    for _ in range(draw(st.integers(0, 3))):
        owner, key = draw(st.sampled_from(OWNERS)), draw(st.sampled_from("5555666681"))
        amount = draw(st.sampled_from([first.amount, first.amount // 2 or 1, first.amount // 2 + 1, 1]))
        back = TransferRequest(
            f"{owner}-{key}", first.destination, first.source, amount, first.currency, reverses=first.name
        )
        wrong = [replace(back, destination=draw(st.sampled_from(ACCOUNTS)))]
        wrong += [replace(back, name=f"{owner}-7", source=first.source, destination=first.destination)]
        wrong += [replace(back, name=f"{owner}-7", reverses=again.name) for again in found if again.reverses]
        found.append(draw(st.sampled_from([back] * 9 + wrong)))
    return found


@st.composite
def runs(draw: st.DrawFn, pool: list[TransferRequest]) -> list[Step]:
    """One step, or a few in their order, of one transfer."""
    request = draw(st.sampled_from(pool))
    reason = draw(st.sampled_from(REASONS))
    opened, debit, credit = Open(request), Move("debit", request.name), Move("credit", request.name)
    refund, fail, cancel = (Move(verb, request.name, reason) for verb in ("refund", "fail", "cancel"))
    wrong = Move(draw(st.sampled_from(["debit", "credit", "refund", "fail", "cancel"])), request.name, attempt=2)
    if request.name.endswith("self"):
        return draw(st.sampled_from([[opened], [fail], [cancel], [refund], [opened, fail]]))
    singles = [[opened], [opened], [debit], [credit], [refund], [fail], [cancel], [wrong]]
    if request.reverses:
        first = next(one for one in pool if one.name == request.reverses)
        there: list[Step] = [Open(first), Move("debit", first.name), Move("credit", first.name)]
        back: list[list[Step]] = [
            [opened],
            [opened, debit],
            [opened, debit, credit],
            [opened, debit, refund],
            [opened, fail],
        ]
        return draw(st.sampled_from([*singles, *back * 2, *([*there, *steps] for steps in back)]))
    several = [[opened, debit], [opened, debit, credit], [opened, debit, credit], [opened, debit, refund]]
    return draw(st.sampled_from([*singles, *several * 3]))


@st.composite
def statuses(draw: st.DrawFn, *, closing: bool = True) -> list[Step]:
    account = draw(st.sampled_from([*ACCOUNTS, NOBODY]))
    choices = ["active", "active", "frozen", "closed"] if closing else ["active", "frozen"]
    return [SetStatus(account, draw(st.sampled_from(choices)))]


@st.composite
def crowds(draw: st.DrawFn, pool: list[TransferRequest]) -> list[AtOnce]:
    """Up to five steps at once, often the same one several times."""
    one = st.one_of(runs(pool), runs(pool), runs(pool), statuses(closing=False))
    steps = [step for run in draw(st.lists(one, min_size=2, max_size=5)) for step in run]
    return [AtOnce(tuple(steps[:5]))]


@st.composite
def rushes(draw: st.DrawFn, pool: list[TransferRequest]) -> list[Step | AtOnce]:
    """Wishes opened in turn, then all of their debits at once, then all of their credits and refunds."""
    names = [request.name for request in pool if not request.name.endswith("self")][:5]
    ends = [Move(draw(st.sampled_from(["credit", "credit", "refund"])), name) for name in names]
    return [*map(Open, pool), AtOnce(tuple(Move("debit", name) for name in names)), AtOnce(tuple(ends))]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    pool = draw(pools())
    # No act at all comes first and shrinks best: a failure is told by the steps that it needs.
    nothing: st.SearchStrategy[list[Step | AtOnce]] = st.just([])
    acts = st.one_of(nothing, runs(pool), runs(pool), runs(pool), crowds(pool), rushes(pool), statuses())
    steps: list[Step | AtOnce] = []
    closed: set[str] = set()
    for act in draw(st.lists(acts, min_size=10, max_size=20)):
        steps += [step for step in act if not _touches(step, closed)]
        closed |= {step.account for step in act if isinstance(step, SetStatus) and step.status == "closed"}
    return Story(tuple(steps))


def _touches(step: Step | AtOnce, closed: set[str]) -> bool:
    """Whether it would open a closed account again, which nobody may ask for."""
    steps = step.steps if isinstance(step, AtOnce) else (step,)
    return any(isinstance(one, SetStatus) and one.account in closed for one in steps)
