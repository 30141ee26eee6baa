"""How one decided change is written: the transfer's state, its posting, the entry and the balance, in one statement."""

from typing import TYPE_CHECKING

from ledger.accounts import Account
from ledger.rules import Change
from ledger.transfers import Transfer

if TYPE_CHECKING:
    from database.connections import Connection

# The places of all statements here: $1-$7 the transfer and its new state, $8-$13 the posting, $14-$22 the entry and
# what the account becomes, $23-$30 what account and transfer were decided on. The last one of each statement is the
# rules that let the transfer pass.
_SET_STATE = """
    UPDATE transfers SET state = $2, updated_at = $3, failure_code = $4, failure_message = $5, failure_side = $7,
        completed_at = CASE WHEN $6::boolean THEN $3::timestamptz END
"""

_SET_SCREENED_BY = "screened_by = coalesce({place}::text, transfers.screened_by)"

_POSTING = """
    INSERT INTO postings (transfer_id, attempt, leg, debit_account_id, credit_account_id, amount_minor, currency,
        recorded_at)
    SELECT $1, $8::smallint, $9, $10, $11, $12::bigint, $13, $3
"""

_ENTRY = """
    INSERT INTO entries (account_id, version, transfer_id, attempt, leg, amount_minor, balance_before, balance_after,
        recorded_at, hash)
    SELECT $14, $15::bigint, $1, $8::smallint, $9, $16::bigint, $17::bigint, $18::bigint, $3, $19::bytea
"""

_SET_BALANCE = """
    UPDATE accounts SET balance_minor = $18, version = $15, head_hash = $19, spent_on = $20::date,
        spent_day_minor = $21::bigint, spent_month_minor = $22::bigint
"""

_WRITE_STATE = f"{_SET_STATE} WHERE id = $1"

_WRITE_POSTING = f"""
    WITH stated AS ({_SET_STATE}, {_SET_SCREENED_BY.format(place="$14")} WHERE id = $1),
    posted AS ({_POSTING})
    SELECT
"""

_WRITE_POSTING_AND_ENTRY = f"""
    WITH stated AS ({_SET_STATE}, {_SET_SCREENED_BY.format(place="$23")} WHERE id = $1),
    posted AS ({_POSTING}),
    entered AS ({_ENTRY})
    {_SET_BALANCE} WHERE id = $14
"""

# The transfer is locked before the account, as everywhere. A lock that is waited for looks again at what it waited for,
# so a row that has changed meanwhile is not found, and then nothing at all is written. Neither is a posting whose time
# is older than a minute, because its process was stopped meanwhile: the running totals rely on it.
_WRITE_IF_UNCHANGED = f"""
    WITH t AS MATERIALIZED (
        SELECT id FROM transfers WHERE id = $1 AND attempt = $8 AND state = $26
            AND $3::timestamptz > clock_timestamp() - interval '1 minute'
        FOR NO KEY UPDATE
    ),
    a AS (
        {_SET_BALANCE} FROM t
        WHERE accounts.id = $14 AND accounts.version = $15::bigint - 1 AND accounts.balance_minor = $17
            AND accounts.head_hash = $23 AND accounts.status = $24 AND accounts.tier = $25
            AND accounts.held_minor = $27::bigint AND accounts.spent_on IS NOT DISTINCT FROM $28::date
            AND accounts.spent_day_minor = $29::bigint AND accounts.spent_month_minor = $30::bigint
        RETURNING 1
    ),
    stated AS ({_SET_STATE}, {_SET_SCREENED_BY.format(place="$31")} FROM a WHERE transfers.id = $1),
    posted AS ({_POSTING} FROM a),
    entered AS ({_ENTRY} FROM a)
    SELECT 1 FROM a
"""


async def write(connection: "Connection", change: Change) -> None:
    """Write what was decided under the locks that this transaction holds."""
    if change.posting is None:
        await connection.execute(_WRITE_STATE, *_state(change))
    elif change.posting.entry is None:
        await connection.execute(_WRITE_POSTING, *_state(change), *_posting(change), change.screened_by)
    else:
        values = (*_state(change), *_posting(change), *_entry(change))
        await connection.execute(_WRITE_POSTING_AND_ENTRY, *values, change.screened_by)


async def write_change(connection: "Connection", transfer: Transfer, change: Change | None) -> Transfer:
    """The transfer with this change written. None: it was written before."""
    if change is None:
        return transfer
    await write(connection, change)
    return change.after


async def write_if_unchanged(connection: "Connection", change: Change, account: Account) -> bool:
    """Take the locks and write, if the transfer and the account still are what the change was decided on.

    Its version alone would not do: after a fail-over to a standby that was behind, another entry may have that number.
    False: nothing was written.
    """
    found = await connection.fetchval(
        _WRITE_IF_UNCHANGED,
        *_state(change),
        *_posting(change),
        *_entry(change),
        account.head_hash,
        account.status,
        account.tier,
        change.transfer.state,
        account.held_minor,
        account.spent_on,
        account.spent_day_minor,
        account.spent_month_minor,
        change.screened_by,
    )
    return found is not None


def _state(change: Change) -> tuple[object, ...]:
    failure = change.failure
    return (
        change.transfer.id,
        change.state,
        change.recorded_at,
        failure.code if failure else None,
        failure.message if failure else None,
        change.state.is_final,
        failure.side if failure else None,
    )


def _posting(change: Change) -> tuple[object, ...]:
    posting = change.posting
    assert posting is not None
    return (
        change.transfer.attempt,
        posting.leg,
        posting.debit_account_id,
        posting.credit_account_id,
        posting.amount_minor,
        posting.currency,
    )


def _entry(change: Change) -> tuple[object, ...]:
    assert change.posting is not None
    entry = change.posting.entry
    assert entry is not None
    return (
        entry.account_id,
        entry.version,
        entry.amount_minor,
        entry.balance_before,
        entry.balance_after,
        entry.hash,
        entry.spending.day,
        entry.spending.day_minor,
        entry.spending.month_minor,
    )
