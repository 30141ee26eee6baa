"""What staff may do to accounts and roles, what is refused, and that each action and its record are one."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import asyncpg
import pytest

from customers.customer import IdentityMissing
from customers.postgres import Customers
from database.connections import Database
from ledger.accounts import NEXT_STATUS, Account, AccountStatus, Freeze
from ledger.ids import AccountId, CustomerId
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.book import Book
from ledger.refusals import ActionRefused, Refusal
from ledger.transfers import Ending, State, Step
from staff.account_actions import (
    STATUS_AFTER,
    ClosedForGood,
    FrozenAlready,
    HoldsMoney,
    MoneyInTransit,
    NoSuchAccount,
    NotFrozen,
)
from staff.actions import AuditRunning, StaffAction
from staff.permissions import ALLOWED, Action, Actor, ConflictOfInterest, NotAllowed, Role
from staff.postgres.actions import ActionSearch, StaffActions
from staff.postgres.operators import BOOKS, Operators
from staff.postgres.roles import Roles
from staff.rebuilds.postgres import Rebuilds
from tests.account_status import set_account_status
from tests.connections import Connection
from tests.ledger.test_incremental_audit import LOCK
from tests.orders import Holder, funded, holder, order, staff

REASON = "Asked for by the bank, ticket 4711"


@pytest.fixture
def operators(database: Database) -> Operators:
    return Operators(database)


@pytest.fixture
def rebuilds(database: Database) -> Rebuilds:
    return Rebuilds(database)


@pytest.fixture
def actions(database: Database) -> StaffActions:
    return StaffActions(database)


@pytest.fixture
async def admin(database: Database) -> Actor:
    return Actor(await staff(database), Role.ADMIN)


@pytest.fixture
async def alice(customers: Customers, book: Book) -> Holder:
    return await funded(customers, book, 10_000)


@pytest.fixture
async def bob(customers: Customers) -> Holder:
    return await holder(customers)


async def about(actions: StaffActions, subject: str) -> list[StaffAction]:
    """The record of a subject, oldest first."""
    return (await actions.find(ActionSearch(subject=subject), 100)).items[::-1]


@pytest.mark.parametrize(
    "action", [*STATUS_AFTER, Action.SET_TIER, Action.REBUILD_ACCOUNT, Action.GRANT_ROLE, Action.RUN_AUDIT]
)
async def test_each_role_may_do_what_it_includes_and_no_more(
    operators: Operators,
    rebuilds: Rebuilds,
    actions: StaffActions,
    database: Database,
    admin: Actor,
    bob: Holder,
    action: Action,
) -> None:
    for role in Role:
        actor = Actor(admin.id, role)

        async def act(actor: Actor = actor) -> object:
            match action:
                case Action.SET_TIER:
                    return await operators.set_tier(actor, bob.account_id, 2, REASON)
                case Action.REBUILD_ACCOUNT:
                    return await rebuilds.request(actor, bob.account_id, REASON)
                case Action.GRANT_ROLE:
                    return await Roles(database, timedelta(0)).set_role(actor, bob.id, Role.CUSTOMER, REASON)
                case Action.RUN_AUDIT:
                    return await operators.audit(actor, REASON)
                case _:
                    return await operators.set_status(actor, action, bob.account_id, REASON)

        if action in (Action.FREEZE_ACCOUNT, Action.UNFREEZE_ACCOUNT):
            before = AccountStatus.ACTIVE if action is Action.FREEZE_ACCOUNT else AccountStatus.FROZEN
            await set_account_status(database, bob.account_id, before)
        if role in ALLOWED[action]:
            await act()
            assert (await actions.find(ActionSearch(actor_id=admin.id), 1)).items[0].action == action
        else:
            with pytest.raises(NotAllowed):
                await act()


async def test_an_action_is_recorded_with_who_why_before_and_after(
    operators: Operators, account_reads: AccountReads, actions: StaffActions, admin: Actor, alice: Holder
) -> None:
    await operators.set_status(admin, Action.FREEZE_ACCOUNT, alice.account_id, REASON)
    await operators.set_tier(admin, alice.account_id, 3, REASON)
    await operators.set_status(admin, Action.UNFREEZE_ACCOUNT, alice.account_id, REASON)
    recorded = await about(actions, alice.account_id)
    assert {(one.actor_id, one.actor_role, one.reason) for one in recorded} == {(admin.id, Role.ADMIN, REASON)}
    assert [(one.action, one.before, one.after) for one in recorded] == [
        (Action.FREEZE_ACCOUNT, {"status": "active", "frozen": None}, {"status": "frozen", "frozen": "both"}),
        (Action.SET_TIER, {"tier": 1}, {"tier": 3}),
        (Action.UNFREEZE_ACCOUNT, {"status": "frozen", "frozen": "both"}, {"status": "active", "frozen": None}),
    ]
    account = await account_reads.find(alice.account_id)
    assert account is not None
    assert (account.status, account.tier, account.balance_minor) == (AccountStatus.ACTIVE, 3, 10_000)


async def test_an_action_that_cannot_be_recorded_is_not_done(
    operators: Operators, account_reads: AccountReads, admin: Actor, alice: Holder
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await operators.set_status(admin, Action.FREEZE_ACCOUNT, alice.account_id, " \n")
    nobody = Actor(CustomerId("cus_" + "a" * 26), Role.ADMIN)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await operators.set_tier(nobody, alice.account_id, 2, REASON)
    account = await account_reads.find(alice.account_id)
    assert account is not None
    assert (account.status, account.tier) == (AccountStatus.ACTIVE, 1)


async def test_the_record_cannot_be_edited_by_anybody(
    operators: Operators, admin: Actor, owner: Connection, database: Database
) -> None:
    changes = (
        "UPDATE staff_actions SET reason = 'none'",
        "DELETE FROM staff_actions",
        "TRUNCATE staff_actions CASCADE",
    )
    for change in changes:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await owner.execute(change)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            async with database.connection() as connection:
                await connection.execute(change)


async def test_an_account_that_holds_money_is_not_closed(
    operators: Operators, actions: StaffActions, admin: Actor, alice: Holder
) -> None:
    with pytest.raises(HoldsMoney, match=r"holds \$100\.00"):
        await operators.set_status(admin, Action.CLOSE_ACCOUNT, alice.account_id, REASON)
    assert await about(actions, alice.account_id) == []


async def test_an_account_is_not_closed_before_a_transfer_to_it_has_ended(
    operators: Operators, book: Book, admin: Actor, alice: Holder, bob: Holder
) -> None:
    wanted = order(alice.id, alice.account_id, bob.account_id, 10_000)
    await book.open_transfer(wanted)
    with pytest.raises(MoneyInTransit):
        await operators.set_status(admin, Action.CLOSE_ACCOUNT, bob.account_id, REASON)
    await book.end(Ending(Step(wanted.transfer_id, 1)), State.CANCELLED)
    closed = await operators.set_status(admin, Action.CLOSE_ACCOUNT, bob.account_id, REASON)
    assert closed.status is AccountStatus.CLOSED


async def test_an_account_is_not_closed_while_money_is_in_transit_from_or_to_it(
    operators: Operators, actions: StaffActions, book: Book, admin: Actor, alice: Holder, bob: Holder
) -> None:
    wanted = order(alice.id, alice.account_id, bob.account_id, 10_000)
    step = Step(wanted.transfer_id, 1)
    await book.open_transfer(wanted)
    await book.debit(step)
    for account_id in (alice.account_id, bob.account_id):
        with pytest.raises(MoneyInTransit, match=r"1 transfer from or to account .* has not ended"):
            await operators.set_status(admin, Action.CLOSE_ACCOUNT, account_id, REASON)
        assert await about(actions, account_id) == []
    await book.credit(step)
    closed = await operators.set_status(admin, Action.CLOSE_ACCOUNT, alice.account_id, REASON)
    assert closed.status is AccountStatus.CLOSED


async def test_a_close_that_races_debits_leaves_no_money_behind(
    operators: Operators, account_reads: AccountReads, book: Book, admin: Actor, alice: Holder, bob: Holder
) -> None:
    """Closing waits for a debit that holds the account, and then sees the money in transit."""

    async def move(amount: int) -> None:
        wanted = order(alice.id, alice.account_id, bob.account_id, amount)
        step = Step(wanted.transfer_id, 1)
        await book.open_transfer(wanted)
        try:
            await book.debit(step)
            await book.credit(step)
        except Refusal as refusal:
            await book.refund(Ending(step, refusal.failure))

    async def close() -> bool:
        try:
            await operators.set_status(admin, Action.CLOSE_ACCOUNT, alice.account_id, REASON)
        except (HoldsMoney, MoneyInTransit):
            return False
        except ClosedForGood:
            return True
        return True

    answers = await asyncio.gather(*(move(1_000) for _ in range(10)), *(close() for _ in range(20)))
    account = await account_reads.find(alice.account_id)
    assert account is not None
    assert (account.status is AccountStatus.CLOSED) == any(answers)
    assert account.balance_minor == 0
    assert await close()


async def test_a_closed_account_never_opens_again(
    operators: Operators, actions: StaffActions, admin: Actor, bob: Holder, owner: Connection
) -> None:
    await operators.set_status(admin, Action.CLOSE_ACCOUNT, bob.account_id, REASON)
    for action in (Action.FREEZE_ACCOUNT, Action.UNFREEZE_ACCOUNT, Action.CLOSE_ACCOUNT):
        with pytest.raises(ClosedForGood):
            await operators.set_status(admin, action, bob.account_id, REASON)
    assert [(one.before, one.after) for one in await about(actions, bob.account_id)] == [
        ({"status": "active", "frozen": None}, {"status": "closed", "frozen": None}),
    ]
    for status in AccountStatus:
        if status not in {AccountStatus.CLOSED, *NEXT_STATUS[AccountStatus.CLOSED]}:
            with pytest.raises(asyncpg.CheckViolationError, match="stays closed"):
                await owner.execute("UPDATE accounts SET status = $2 WHERE id = $1", bob.account_id, status)


@pytest.mark.parametrize("was", [None, *Freeze])
async def test_a_freeze_changes_to_any_other_and_is_refused_where_it_changes_nothing(
    operators: Operators, actions: StaffActions, admin: Actor, bob: Holder, was: Freeze | None
) -> None:
    async def freeze(frozen: Freeze) -> Account:
        return await operators.set_status(admin, Action.FREEZE_ACCOUNT, bob.account_id, REASON, frozen=frozen)

    async def unfreeze() -> Account:
        return await operators.set_status(admin, Action.UNFREEZE_ACCOUNT, bob.account_id, REASON)

    if was is None:
        with pytest.raises(NotFrozen):
            await unfreeze()
        assert await about(actions, bob.account_id) == []
    else:
        await freeze(was)
    for wanted in Freeze:
        if wanted is was:
            with pytest.raises(FrozenAlready):
                await freeze(wanted)
            continue
        changed = await freeze(wanted)
        assert (changed.status, changed.frozen) == (AccountStatus.FROZEN, wanted)
        opened = await unfreeze()
        assert (opened.status, opened.frozen) == (AccountStatus.ACTIVE, None)
        if was is not None:
            await freeze(was)
    record = await about(actions, bob.account_id)
    assert [one.before for one in record[1:]] == [one.after for one in record[:-1]]
    assert {one.reason for one in record} == {REASON}


async def test_whoever_sets_the_status_alone_freezes_both_sides(owner: Connection, bob: Holder) -> None:
    frozen = "UPDATE accounts SET status = $2 WHERE id = $1 RETURNING frozen"
    assert await owner.fetchval(frozen, bob.account_id, "frozen") == "both"
    assert await owner.fetchval(frozen, bob.account_id, "active") is None
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.execute("UPDATE accounts SET status = 'frozen', frozen = 'all' WHERE id = $1", bob.account_id)


async def test_an_unknown_account_is_refused(operators: Operators, admin: Actor) -> None:
    with pytest.raises(NoSuchAccount):
        await operators.set_status(admin, Action.FREEZE_ACCOUNT, AccountId("acc_none"), REASON)


async def test_nobody_acts_on_themselves_or_on_an_account_of_their_own(
    operators: Operators, rebuilds: Rebuilds, alice: Holder
) -> None:
    actor = Actor(alice.id, Role.ADMIN)
    refused = [
        operators.set_status(actor, Action.UNFREEZE_ACCOUNT, alice.account_id, REASON),
        operators.set_tier(actor, alice.account_id, 2, REASON),
        rebuilds.request(actor, alice.account_id, REASON),
    ]
    for action in refused:
        with pytest.raises(ConflictOfInterest):
            await action


async def test_of_many_operators_at_once_the_last_one_wins_and_the_record_is_a_chain(
    operators: Operators,
    account_reads: AccountReads,
    actions: StaffActions,
    database: Database,
    admin: Actor,
    alice: Holder,
) -> None:
    other = Actor(await staff(database), Role.ADMIN)
    await asyncio.gather(
        *(operators.set_tier((admin, other)[n % 2], alice.account_id, 1 + n % 9, REASON) for n in range(20))
    )
    recorded = await about(actions, alice.account_id)
    assert len(recorded) == 20
    assert recorded[0].before == {"tier": 1}
    assert [one.before for one in recorded[1:]] == [one.after for one in recorded[:-1]]
    account = await account_reads.find(alice.account_id)
    assert account is not None
    assert recorded[-1].after == {"tier": account.tier}


async def test_freezing_while_transfers_run_loses_nothing(
    operators: Operators, account_reads: AccountReads, book: Book, admin: Actor, alice: Holder, bob: Holder
) -> None:
    async def move() -> bool:
        wanted = order(alice.id, alice.account_id, bob.account_id, 10)
        step = Step(wanted.transfer_id, 1)
        await book.open_transfer(wanted)
        try:
            await book.debit(step)
            await book.credit(step)
        except Refusal as refusal:
            await book.refund(Ending(step, refusal.failure))
            return False
        return True

    async def freeze_and_open() -> None:
        for action in (Action.FREEZE_ACCOUNT, Action.UNFREEZE_ACCOUNT) * 5:
            await operators.set_status(admin, action, bob.account_id, REASON)

    moved, _ = await asyncio.gather(asyncio.gather(*(move() for _ in range(60))), freeze_and_open())
    accounts = [await account_reads.find(one.account_id) for one in (alice, bob)]
    assert [account.balance_minor for account in accounts if account] == [10_000 - 10 * sum(moved), 10 * sum(moved)]


async def test_staff_without_an_identity_document_hold_no_account(
    operators: Operators, customers: Customers, admin: Actor
) -> None:
    with pytest.raises(IdentityMissing):
        await customers.open_account(admin.id, "USD")
    assert (await customers.search("", None, 50)).items[0].id == admin.id


async def test_one_audit_runs_at_a_time_and_its_finding_is_recorded(
    operators: Operators, actions: StaffActions, admin: Actor, alice: Holder, database: Database
) -> None:
    async with database.connection() as another_audit:
        await another_audit.execute(f"SELECT pg_advisory_lock({LOCK})")
        with pytest.raises(AuditRunning):
            await operators.audit(admin, REASON)
        await another_audit.execute(f"SELECT pg_advisory_unlock({LOCK})")
    assert (await operators.audit(admin, REASON)).clean
    (recorded,) = await about(actions, BOOKS)
    assert (recorded.before, recorded.after) == (None, {"clean": True, "findings": 0, "full": False})


def _kinds_of(refused: type[ActionRefused]) -> Iterator[type[ActionRefused]]:
    """The classes that are raised: those without any below them."""
    for kind in refused.__subclasses__():
        yield from _kinds_of(kind) if kind.__subclasses__() else (kind,)


async def test_every_refusal_of_an_action_has_a_code_of_its_own() -> None:
    codes = [refusal.code for refusal in _kinds_of(ActionRefused)]
    assert len(codes) == len(set(codes))


async def pay(book: Book, payer: Holder, payee: Holder, amount_minor: int) -> None:
    wanted = order(payer.id, payer.account_id, payee.account_id, amount_minor)
    step = Step(wanted.transfer_id, 1)
    await book.open_transfer(wanted)
    await book.debit(step)
    await book.credit(step)
