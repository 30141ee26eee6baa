"""What staff change of accounts, each under its row lock and together with the record of who did it and why.

An action that is refused raises an `ActionRefused`, changes nothing and records nothing. One that changes nothing
because everything is as requested is recorded too, with equal states before and after.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, or_, select, update

from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.statements import fetch_only, fetch_value
from ledger.accounts import Account, AccountStatus, Freeze
from ledger.fingerprints import Fingerprints
from ledger.ids import AccountId
from ledger.postgres.account_queue import AccountQueues
from ledger.postgres.audit import AUDIT_TIMEOUT_SECONDS, Audit, AuditInProgress, audit
from ledger.postgres.locks import lock_account_for_staff
from ledger.postgres.rows import ACCOUNT, account_of
from ledger.postgres.tables import NOT_FINAL, accounts, transfers
from notifications.messages import status_message, tier_message
from notifications.postgres import write_notification
from staff.account_actions import STATUS_AFTER, NoSuchAccount, check_account_action, check_status_change
from staff.actions import AuditRunning
from staff.permissions import Action, Actor, check_allowed
from staff.postgres.actions import record_action

if TYPE_CHECKING:
    from database.connections import Connection

# What an action about all of the books is recorded under, instead of an id.
BOOKS = "books"

# What the owner of an account is told, by the status that it has then.
_OCCASIONS = {AccountStatus.FROZEN: "frozen", AccountStatus.ACTIVE: "unfrozen", AccountStatus.CLOSED: "closed"}


_IN_PROGRESS = select(func.count()).where(
    NOT_FINAL,
    or_(
        transfers.c.source_account_id == bindparam("account_id"),
        transfers.c.destination_account_id == bindparam("account_id"),
    ),
)


class Operators:
    """Actions as transactions. All raise `Unavailable` where PostgreSQL gave no answer: in doubt, read, then repeat.

    `keep` keeps the action's answer in its transaction, for repeats under a key.

    Steps of transfers that need the same account wait for an action, and an action waits for the step that runs: money
    never moves between an action's decision and its effect.
    """

    def __init__(
        self,
        database: Database,
        queues: AccountQueues | None = None,
        fingerprints: Fingerprints | None = None,
        reports: Database | None = None,
        audit_seconds: int = AUDIT_TIMEOUT_SECONDS,
    ) -> None:
        """`queues` are those of all in this process that lock accounts.

        `fingerprints` let its audits check that each order is the one that was accepted. Audits run on a connection of
        `reports`, and for `audit_seconds` at most.
        """
        self._database = database
        self._queues = queues or AccountQueues()
        self._fingerprints = fingerprints
        self._reports = reports or database
        self._audit_seconds = audit_seconds

    async def set_status(
        self,
        actor: Actor,
        action: Action,
        account_id: AccountId,
        reason: str,
        keep: Keep[Account] = keeps_nothing,
        frozen: Freeze = Freeze.BOTH,
    ) -> Account:
        """Freeze, unfreeze or close an account. Closing needs it empty, and every transfer from or to it ended.

        `frozen` is what a freeze stops from now on, also if another freeze is there. What changes nothing is refused:
        `FrozenAlready`, `NotFrozen`, `ClosedForGood`.
        """
        wanted = STATUS_AFTER[action]
        stops = frozen if wanted is AccountStatus.FROZEN else None
        async with self._account(actor, action, account_id) as (connection, account):
            # Read after the lock, in a statement of its own: it sees every debit that came before.
            closing = wanted is AccountStatus.CLOSED
            in_progress = await fetch_value(connection, _IN_PROGRESS, account_id=account_id) if closing else 0
            check_status_change(account, wanted, stops, in_progress)
            changed = await _set(connection, account_id, status=wanted, frozen=stops)
            before, after = _status_of(account), _status_of(changed)
            action_id = await record_action(connection, actor, action, account_id, reason, before, after)
            occasion = f"{action_id}/{_OCCASIONS[wanted]}"
            await write_notification(connection, changed.owner_id, occasion, status_message(changed), account_id)
            await keep(connection, changed)
        return changed

    async def set_tier(
        self, actor: Actor, account_id: AccountId, tier: int, reason: str, keep: Keep[Account] = keeps_nothing
    ) -> Account:
        """Move an account to another tier."""
        async with self._account(actor, Action.SET_TIER, account_id) as (connection, account):
            changed = await _set(connection, account_id, tier=tier)
            before, after = {"tier": account.tier}, {"tier": changed.tier}
            action_id = await record_action(connection, actor, Action.SET_TIER, account_id, reason, before, after)
            if changed.tier > account.tier:
                occasion = f"{action_id}/tier_raised"
                await write_notification(connection, changed.owner_id, occasion, tier_message(changed), account_id)
            await keep(connection, changed)
        return changed

    async def audit(self, actor: Actor, reason: str, keep: Keep[Audit] = keeps_nothing, *, full: bool = False) -> Audit:
        """Audit what no earlier audit found clean, or with `full` all the books; record that and what it found.

        Raises `AuditRunning` while any process runs one.
        """
        check_allowed(actor, Action.RUN_AUDIT)
        try:
            found = await audit(self._reports, self._fingerprints, full=full, limit_seconds=self._audit_seconds)
        except AuditInProgress as running:
            raise AuditRunning from running
        after = {"clean": found.clean, "findings": len(found.broken), "full": full}
        async with self._database.transaction() as connection:
            await record_action(connection, actor, Action.RUN_AUDIT, BOOKS, reason, None, after)
            await keep(connection, found)
        return found

    @asynccontextmanager
    async def _account(
        self, actor: Actor, action: Action, account_id: AccountId
    ) -> AsyncIterator[tuple["Connection", Account]]:
        """A transaction that holds the account's row, once the actor may do this to it.

        It comes before the steps that wait for the account, and waits for whoever holds it. Raises `AccountBusy` if
        that takes too long.
        """
        check_allowed(actor, action)
        async with (
            self._queues.turn(account_id, for_staff=True) as turn,
            self._database.transaction() as connection,
        ):
            turn.has_connection()
            account = await lock_account_for_staff(connection, account_id)
            if account is None:
                raise NoSuchAccount(account_id)
            check_account_action(actor, action, account)
            yield connection, account


async def _set(connection: "Connection", account_id: AccountId, **values: object) -> Account:
    changed = update(accounts).where(accounts.c.id == account_id).values(**values)
    return account_of(await fetch_only(connection, changed.returning(*ACCOUNT)))


def _status_of(account: Account) -> dict[str, Any]:
    return {"status": account.status, "frozen": account.frozen}
