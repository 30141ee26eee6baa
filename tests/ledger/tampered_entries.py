"""Ways to change entries, balances and accounts behind the ledger's back."""

from tests.ledger.book_changes import Tampering

TAMPERED_ENTRIES = [
    Tampering(
        "what an account has sent today is edited",
        "UPDATE accounts SET spent_day_minor = 0 WHERE id = '{alice}'",
        {"spending_is_sum_of_debits alice"},
    ),
    Tampering(
        "what an account has sent this month is edited",
        "UPDATE accounts SET spent_month_minor = spent_month_minor - 1 WHERE id = '{bob}'",
        {"spending_is_sum_of_debits bob"},
    ),
    Tampering(
        "the day on which an account has sent something is moved",
        "UPDATE accounts SET spent_on = spent_on + 1 WHERE id = '{alice}'",
        {"spending_is_sum_of_debits alice"},
    ),
    Tampering(
        "an account that never sent anything is said to have",
        "UPDATE accounts SET spent_on = '2026-01-01' WHERE id = '{dora}'",
        {"spending_is_sum_of_debits dora"},
    ),
    Tampering(
        "an entry is dated before a clean audit that did not find it",
        """
        INSERT INTO audits (is_full, began_at, findings, audited_until)
        SELECT true, now(), 0, min(recorded_at) FROM entries WHERE account_id IN ('{alice}', '{erin}', '{fay}')
        """,
        {
            "entry_dated_before_audit alice version 1",
        },
    ),
    Tampering(
        "an entry's amount is edited",
        """
        ALTER TABLE entries DROP CONSTRAINT entries_check;
        UPDATE entries SET amount_minor = -1 WHERE (account_id, version) = ('{alice}', 2)
        """,
        {
            "entries_without_gaps alice version 2",
            "entry_matches_posting alice version 2",
            "hash_chain alice version 2",
            "spending_is_sum_of_debits alice",
        },
    ),
    Tampering(
        "an entry's amount and balance are edited",
        "UPDATE entries SET amount_minor = -1, balance_after = 9999 WHERE (account_id, version) = ('{alice}', 2)",
        {
            "entries_without_gaps alice version 3",
            "entry_matches_posting alice version 2",
            "hash_chain alice version 2",
            "spending_is_sum_of_debits alice",
        },
    ),
    Tampering(
        "an entry's time is edited",
        "UPDATE entries SET recorded_at = recorded_at - interval '1 day' WHERE (account_id, version) = ('{bob}', 1)",
        {
            "entry_matches_posting bob version 1",
            "hash_chain bob version 1",
        },
    ),
    Tampering(
        "an entry and its posting are moved to another day",
        """
        UPDATE entries SET recorded_at = 'epoch' WHERE (account_id, version) = ('{bob}', 1);
        UPDATE postings SET recorded_at = 'epoch' WHERE (transfer_id, leg) = ('{done}', 'credit')
        """,
        {
            "hash_chain bob version 1",
        },
    ),
    Tampering(
        "an entry is moved to another attempt",
        "UPDATE entries SET attempt = 2 WHERE (account_id, version) = ('{bob}', 1)",
        {
            "entry_matches_posting bob version 1",
            "entry_matches_posting done/1/credit",
            "hash_chain bob version 1",
        },
    ),
    Tampering(
        "an entry is moved to another account",
        "UPDATE entries SET account_id = '{dora}' WHERE (account_id, version) = ('{bob}', 1)",
        {
            "balance_is_fold dora",
            "entries_without_gaps bob version 2",
            "entry_matches_posting dora version 1",
            "hash_chain bob version 2",
            "hash_chain dora version 1",
        },
    ),
    Tampering(
        "an entry's hash is edited",
        "UPDATE entries SET hash = sha256('forged') WHERE (account_id, version) = ('{alice}', 2)",
        {
            "hash_chain alice version 2",
            "hash_chain alice version 3",
        },
    ),
    Tampering(
        "the newest hash is edited with the account's head",
        """
        UPDATE entries SET hash = sha256('forged') WHERE (account_id, version) = ('{alice}', 5);
        UPDATE accounts SET head_hash = sha256('forged') WHERE id = '{alice}'
        """,
        {
            "hash_chain alice version 5",
        },
    ),
    Tampering(
        "an account's head hash is edited",
        "UPDATE accounts SET head_hash = sha256('x') WHERE id = '{alice}'",
        {
            "balance_is_fold alice",
        },
    ),
    Tampering(
        "the head hash of an account without entries is edited",
        "UPDATE accounts SET head_hash = sha256('x') WHERE id = '{dora}'",
        {
            "balance_is_fold dora",
        },
    ),
    Tampering(
        "an entry in the middle is dropped",
        "DELETE FROM entries WHERE (account_id, version) = ('{alice}', 3)",
        {
            "entries_without_gaps alice version 4",
            "entries_without_gaps alice version 5",
            "entry_matches_posting back/1/debit",
            "hash_chain alice version 4",
        },
    ),
    Tampering(
        "an entry in the middle is dropped and the rest moved up",
        """
        DELETE FROM entries WHERE (account_id, version) = ('{alice}', 3);
        UPDATE entries SET version = 3, balance_before = 7500, balance_after = 8000
            WHERE (account_id, version) = ('{alice}', 4);
        UPDATE entries SET version = 4, balance_before = 8000, balance_after = 7000
            WHERE (account_id, version) = ('{alice}', 5);
        UPDATE accounts SET version = 4, balance_minor = 7000 WHERE id = '{alice}'
        """,
        {
            "entry_matches_posting back/1/debit",
            "hash_chain alice version 3",
            "hash_chain alice version 4",
            "zero_sum USD",
        },
    ),
    Tampering(
        "the first entry is dropped",
        "DELETE FROM entries WHERE (account_id, version) = ('{alice}', 1)",
        {
            "entries_without_gaps alice version 2",
            "entries_without_gaps alice version 3",
            "entries_without_gaps alice version 4",
            "entries_without_gaps alice version 5",
            "entry_matches_posting deposit/1/credit",
            "hash_chain alice version 2",
        },
    ),
    Tampering(
        "the last entry is dropped",
        "DELETE FROM entries WHERE (account_id, version) = ('{alice}', 5)",
        {
            "balance_is_fold alice",
            "entry_matches_posting moving/1/debit",
            "spending_is_sum_of_debits alice",
        },
    ),
    Tampering(
        "the last entry is dropped and its account put back",
        """
        DELETE FROM entries WHERE (account_id, version) = ('{alice}', 5);
        UPDATE accounts a SET version = 4, balance_minor = 7500, head_hash = e.hash
            FROM entries e
            WHERE a.id = '{alice}' AND (e.account_id, e.version) = ('{alice}', 4)
        """,
        {
            "entry_matches_posting moving/1/debit",
            "zero_sum USD",
            "spending_is_sum_of_debits alice",
        },
    ),
    Tampering(
        "the last entry is dropped with its posting and its account put back",
        """
        DELETE FROM entries WHERE (account_id, version) = ('{alice}', 5);
        DELETE FROM postings WHERE (transfer_id, leg) = ('{moving}', 'debit');
        UPDATE accounts a SET version = 4, balance_minor = 7500, head_hash = e.hash
            FROM entries e
            WHERE a.id = '{alice}' AND (e.account_id, e.version) = ('{alice}', 4)
        """,
        {
            "in_transit USD",
            "legs_match_state moving attempt 1",
            "spending_is_sum_of_debits alice",
        },
    ),
    Tampering(
        "two entries are swapped",
        """
        UPDATE entries SET version = version + 10 WHERE account_id = '{alice}' AND version IN (3, 4);
        UPDATE entries SET version = 17 - version WHERE account_id = '{alice}' AND version IN (13, 14)
        """,
        {
            "entries_without_gaps alice version 3",
            "entries_without_gaps alice version 5",
            "hash_chain alice version 3",
            "hash_chain alice version 4",
            "hash_chain alice version 5",
        },
    ),
    Tampering(
        "a balance is edited",
        "UPDATE accounts SET balance_minor = 6501 WHERE id = '{alice}'",
        {
            "balance_is_fold alice",
            "zero_sum USD",
        },
    ),
    Tampering(
        "money is created in an empty account",
        "UPDATE accounts SET balance_minor = 5 WHERE id = '{dora}'",
        {
            "balance_is_fold dora",
            "zero_sum USD",
        },
    ),
    Tampering(
        "money moves from one balance to another",
        """
        UPDATE accounts SET balance_minor = balance_minor - 5 WHERE id = '{alice}';
        UPDATE accounts SET balance_minor = balance_minor + 5 WHERE id = '{bob}'
        """,
        {
            "balance_is_fold alice",
            "balance_is_fold bob",
        },
    ),
    Tampering(
        "a version is edited",
        "UPDATE accounts SET version = 9 WHERE id = '{alice}'",
        {
            "balance_is_fold alice",
        },
    ),
    Tampering(
        "a balance goes below zero",
        """
        ALTER TABLE accounts DROP CONSTRAINT accounts_balance_minor_check;
        UPDATE accounts SET balance_minor = -1 WHERE id = '{alice}'
        """,
        {
            "balance_is_fold alice",
            "not_negative alice",
            "zero_sum USD",
        },
    ),
    Tampering(
        "an account's currency is edited",
        "UPDATE accounts SET currency = 'GBP' WHERE id = '{alice}'",
        {
            "entry_matches_account alice version 1",
            "entry_matches_account alice version 2",
            "entry_matches_account alice version 3",
            "entry_matches_account alice version 4",
            "entry_matches_account alice version 5",
            "zero_sum GBP",
            "zero_sum USD",
        },
    ),
    Tampering(
        "an account is deleted",
        "DELETE FROM accounts WHERE id = '{bob}'",
        {
            "entry_matches_account bob version 1",
            "entry_matches_account bob version 2",
            "owner_owns_source paid",
            "zero_sum USD",
        },
    ),
    Tampering(
        "an emptied account is deleted",
        "DELETE FROM accounts WHERE id = '{erin}'",
        {
            "owner_owns_source emptied",
            "owner_owns_source saved",
            "entry_matches_account erin version 1",
            "entry_matches_account erin version 2",
        },
    ),
    Tampering(
        "an emptied account's currency is edited",
        "UPDATE accounts SET currency = 'GBP' WHERE id = '{erin}'",
        {
            "entry_matches_account erin version 1",
            "entry_matches_account erin version 2",
        },
    ),
    Tampering(
        "all that ever went through an account becomes another currency's",
        """
        UPDATE transfers SET currency = 'EUR' WHERE '{erin}' IN (source_account_id, destination_account_id);
        UPDATE postings SET currency = 'EUR' WHERE transfer_id IN (SELECT id FROM transfers WHERE currency = 'EUR')
        """,
        {
            "entry_matches_account erin version 1",
            "entry_matches_account erin version 2",
        },
    ),
]
