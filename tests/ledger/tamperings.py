"""Ways to change the books behind the ledger's back, with what the audit says to each, in the names of `scene.py`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tampering:
    """One way to change the books, and all that the audit then says: `invariant subject`, in names of the scene."""

    name: str
    sql: str
    found: frozenset[str] | set[str] = frozenset()


TAMPERINGS = [
    Tampering(
        "an account holds what no hold explains",
        "UPDATE accounts SET held_minor = 1 WHERE id = '{bob}'",
        {
            "held_is_sum_of_holds bob",
        },
    ),
    Tampering(
        "a hold is forged beside its account",
        "INSERT INTO holds (transfer_id, account_id, amount_minor) VALUES ('{lent}', '{gus}', 1)",
        {
            "held_is_sum_of_holds gus",
        },
    ),
    Tampering(
        "a hold is forged for what nobody disputes",
        """
        INSERT INTO holds (transfer_id, account_id, amount_minor) VALUES ('{done}', '{bob}', 1);
        UPDATE accounts SET held_minor = 1 WHERE id = '{bob}'
        """,
        {
            "hold_has_dispute done",
        },
    ),
    Tampering(
        "a hold is moved to another account",
        """
        INSERT INTO holds (transfer_id, account_id, amount_minor) VALUES ('{lent}', '{bob}', 1);
        UPDATE accounts SET held_minor = 1 WHERE id = '{bob}'
        """,
        {
            "hold_has_dispute lent",
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
        },
    ),
    Tampering(
        "an entry's amount and balance are edited",
        "UPDATE entries SET amount_minor = -1, balance_after = 9999 WHERE (account_id, version) = ('{alice}', 2)",
        {
            "entries_without_gaps alice version 3",
            "entry_matches_posting alice version 2",
            "hash_chain alice version 2",
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
        "a posting's amount is edited",
        "UPDATE postings SET amount_minor = 2501 WHERE (transfer_id, leg) = ('{done}', 'debit')",
        {
            "entry_matches_posting alice version 2",
            "in_transit USD",
            "posting_matches_transfer done/1/debit",
            "zero_sum USD",
        },
    ),
    Tampering(
        "the amounts of both postings of a deposit are edited",
        "UPDATE postings SET amount_minor = 10001 WHERE transfer_id = '{deposit}'",
        {
            "entry_matches_posting alice version 1",
            "posting_matches_transfer deposit/1/credit",
            "posting_matches_transfer deposit/1/debit",
            "zero_sum USD",
        },
    ),
    Tampering(
        "a posting's accounts are edited",
        "UPDATE postings SET credit_account_id = '{dora}' WHERE (transfer_id, leg) = ('{done}', 'credit')",
        {
            "entry_matches_posting bob version 1",
            "posting_matches_transfer done/1/credit",
        },
    ),
    Tampering(
        "a posting's currency is edited",
        "UPDATE postings SET currency = 'EUR' WHERE (transfer_id, leg) = ('{done}', 'credit')",
        {
            "entry_matches_account bob version 1",
            "in_transit EUR",
            "in_transit USD",
            "posting_matches_transfer done/1/credit",
            "zero_sum EUR",
            "zero_sum USD",
        },
    ),
    Tampering(
        "a posting is dropped",
        "DELETE FROM postings WHERE (transfer_id, leg) = ('{done}', 'credit')",
        {
            "entry_matches_posting bob version 1",
            "in_transit USD",
            "legs_match_state done attempt 1",
            "zero_sum USD",
        },
    ),
    Tampering(
        "both postings of a deposit are dropped",
        "DELETE FROM postings WHERE transfer_id = '{deposit}'",
        {
            "entry_matches_posting alice version 1",
            "legs_match_state deposit attempt 1",
            "zero_sum USD",
        },
    ),
    Tampering(
        "a posting is forged",
        """
        INSERT INTO postings (transfer_id, attempt, leg, debit_account_id, credit_account_id, amount_minor,
            currency, recorded_at)
            VALUES ('{moving}', 1, 'credit', 'clearing', '{bob}', 1000, 'USD', now())
        """,
        {
            "entry_matches_posting moving/1/credit",
            "in_transit USD",
            "legs_match_state moving attempt 1",
            "zero_sum USD",
        },
    ),
    Tampering(
        "a posting of an attempt that never was is forged",
        """
        INSERT INTO postings (transfer_id, attempt, leg, debit_account_id, credit_account_id, amount_minor,
            currency, recorded_at)
            VALUES ('{paid}', 2, 'debit', 'world', 'clearing', 300, 'USD', now())
        """,
        {
            "in_transit USD",
            "legs_match_state paid attempt 2",
            "posting_matches_transfer paid/2/debit",
        },
    ),
    Tampering(
        "a transfer and its postings become another currency's",
        """
        UPDATE transfers SET currency = 'EUR' WHERE id = '{done}';
        UPDATE postings SET currency = 'EUR' WHERE transfer_id = '{done}'
        """,
        {
            "entry_matches_account alice version 2",
            "entry_matches_account bob version 1",
        },
    ),
    Tampering(
        "a completed transfer becomes debited",
        "UPDATE transfers SET state = 'debited', completed_at = NULL WHERE id = '{done}'",
        {
            "in_transit USD",
            "legs_match_state done attempt 1",
        },
    ),
    Tampering(
        "a completed transfer becomes failed",
        "UPDATE transfers SET state = 'failed' WHERE id = '{done}'",
        {
            "legs_match_state done attempt 1",
        },
    ),
    Tampering(
        "a completed transfer becomes compensated",
        "UPDATE transfers SET state = 'compensated' WHERE id = '{done}'",
        {
            "legs_match_state done attempt 1",
        },
    ),
    Tampering(
        "a debited transfer becomes completed",
        "UPDATE transfers SET state = 'completed', completed_at = now() WHERE id = '{moving}'",
        {
            "in_transit USD",
            "legs_match_state moving attempt 1",
        },
    ),
    Tampering(
        "a failed transfer becomes completed",
        "UPDATE transfers SET state = 'completed' WHERE id = '{refused}'",
        {
            "legs_match_state refused attempt 1",
        },
    ),
    Tampering(
        "a transfer's attempt is edited",
        "UPDATE transfers SET attempt = 2 WHERE id = '{done}'",
        {
            "legs_match_state done attempt 1",
            "legs_match_state done attempt 2",
        },
    ),
    Tampering(
        "a transfer's amount is edited",
        "UPDATE transfers SET amount_minor = 1 WHERE id = '{done}'",
        {
            "posting_matches_transfer done/1/credit",
            "posting_matches_transfer done/1/debit",
        },
    ),
    Tampering(
        "a transfer's currency is edited",
        "UPDATE transfers SET currency = 'EUR' WHERE id = '{done}'",
        {
            "posting_matches_transfer done/1/credit",
            "posting_matches_transfer done/1/debit",
        },
    ),
    Tampering(
        "a debited transfer's amount is edited",
        "UPDATE transfers SET amount_minor = 1 WHERE id = '{moving}'",
        {
            "in_transit USD",
            "posting_matches_transfer moving/1/debit",
        },
    ),
    Tampering(
        "a transfer's destination is edited",
        "UPDATE transfers SET destination_account_id = '{dora}' WHERE id = '{done}'",
        {
            "posting_matches_transfer done/1/credit",
        },
    ),
    Tampering(
        "a transfer's source is edited",
        "UPDATE transfers SET source_account_id = '{dora}' WHERE id = '{done}'",
        {
            "owner_owns_source done",
            "posting_matches_transfer done/1/debit",
        },
    ),
    Tampering(
        "a debited transfer is deleted",
        "DELETE FROM transfers WHERE id = '{moving}'",
        {
            "in_transit USD",
            "key_names_transfer moving",
            "posting_matches_transfer moving/1/debit",
        },
    ),
    Tampering(
        "a completed transfer is deleted",
        "DELETE FROM transfers WHERE id = '{done}'",
        {
            "key_names_transfer done",
            "posting_matches_transfer done/1/credit",
            "posting_matches_transfer done/1/debit",
        },
    ),
    Tampering(
        "postings of a transfer that never was are forged",
        """
        INSERT INTO postings (transfer_id, attempt, leg, debit_account_id, credit_account_id, amount_minor,
        currency, recorded_at)
        VALUES ('{never}', 1, 'debit', 'world', 'clearing', 300, 'USD', now()), ('{never}', 1, 'credit',
        'clearing', 'world', 300, 'USD', now())
        """,
        {
            "posting_matches_transfer never/1/credit",
            "posting_matches_transfer never/1/debit",
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
    Tampering(
        "a transfer's key is removed",
        "DELETE FROM keys WHERE transfer_id = '{done}'",
        {"key_names_transfer done"},
    ),
    Tampering(
        "a key is made to name another transfer",
        "UPDATE keys SET transfer_id = '{back}' WHERE transfer_id = '{done}'",
        {"key_names_transfer done"},
    ),
    Tampering(
        "a key names a transfer of another customer",
        """
        INSERT INTO keys (owner_id, idempotency_key, transfer_id)
        SELECT owner_id, 'forged', '{done}' FROM accounts WHERE id = '{dora}'
        """,
        {"key_names_transfer done"},
    ),
    Tampering(
        "a key names no transfer and has no answer",
        """
        INSERT INTO keys (owner_id, idempotency_key) SELECT owner_id, 'forged' FROM accounts WHERE id = '{dora}'
        """,
        {"key_names_transfer forged"},
    ),
    Tampering(
        "a key names a transfer that does not exist",
        """
        INSERT INTO keys (owner_id, idempotency_key, transfer_id)
        SELECT owner_id, 'forged', '{never}' FROM accounts WHERE id = '{dora}'
        """,
        {"key_names_transfer never"},
    ),
    Tampering(
        "a reversal under way is made larger than what is left",
        "UPDATE transfers SET amount_minor = 401 WHERE id = '{giving}'",
        {
            "reversals_within_transfer lent",
        },
    ),
    Tampering(
        "a reversal is written behind the book, of all that was transferred",
        """
        INSERT INTO transfers (id, owner_id, idempotency_key, fingerprint, kind, source_account_id,
            destination_account_id, amount_minor, currency, workflow_id, reverses_transfer_id)
        SELECT '{never}', owner_id, 'forged', fingerprint, kind, source_account_id, destination_account_id, 600,
            currency, workflow_id, reverses_transfer_id FROM transfers WHERE id = '{giving}'
        """,
        {
            "key_names_transfer never",
            "reversals_within_transfer lent",
        },
    ),
    Tampering(
        "a reversal leads to somebody else",
        "UPDATE transfers SET destination_account_id = '{dora}' WHERE id = '{giving}'",
        {
            "reversals_within_transfer giving",
        },
    ),
    Tampering(
        "a reversal is in another currency",
        "UPDATE transfers SET currency = 'EUR' WHERE id = '{giving}'",
        {
            "reversals_within_transfer giving",
        },
    ),
    Tampering(
        "a reversal is of what was never completed",
        "UPDATE transfers SET reverses_transfer_id = '{refused}' WHERE id = '{giving}'",
        {
            "reversals_within_transfer giving",
        },
    ),
    Tampering(
        "a reversal is of nothing that is there",
        "UPDATE transfers SET reverses_transfer_id = '{never}' WHERE id = '{giving}'",
        {
            "reversals_within_transfer giving",
        },
    ),
    Tampering(
        "a reversal is made an ordinary transfer",
        """
        ALTER TABLE transfers DROP CONSTRAINT transfers_reversal_check;
        UPDATE transfers SET kind = 'transfer' WHERE id = '{giving}'
        """,
        {
            "reversals_within_transfer giving",
        },
    ),
    Tampering(
        "a dispute is about somebody else's transfer",
        "UPDATE disputes SET transfer_id = '{paid}' WHERE id = '{denied}'",
        {"dispute_matches_transfer denied"},
    ),
    Tampering(
        "a dispute is about a transfer that never was",
        "UPDATE disputes SET transfer_id = '{never}' WHERE id = '{denied}'",
        {"dispute_matches_transfer denied"},
    ),
    Tampering(
        "a dispute is given to another payer",
        "UPDATE disputes SET payer_id = (SELECT owner_id FROM accounts WHERE id = '{dora}') WHERE id = '{denied}'",
        {"dispute_matches_transfer denied", "statements_of_parties denied"},
    ),
    Tampering(
        "a dispute that is over is opened again beside another one",
        """
        DROP INDEX disputes_one_open;
        UPDATE disputes SET state = 'open', ruling = NULL, decided_by = NULL, decided_reason = NULL, decided_at = NULL,
            closed_at = NULL WHERE id = '{denied}'
        """,
        {"one_dispute_at_a_time lent", "dispute_matches_decision denied"},
    ),
    Tampering(
        "a rejected dispute becomes expired and nobody's",
        """
        UPDATE disputes SET state = 'expired', ruling = NULL, decided_by = NULL, decided_reason = NULL,
            decided_at = NULL WHERE id = '{denied}'
        """,
        {"dispute_matches_decision denied"},
    ),
    Tampering(
        "an open dispute is decided behind the book",
        """
        UPDATE disputes o SET state = 'rejected', ruling = 'reject', decided_by = d.decided_by, decided_at = now(),
            decided_reason = 'forged', closed_at = now() FROM disputes d
        WHERE o.id = '{objection}' AND d.id = '{denied}'
        """,
        {"dispute_matches_decision objection"},
    ),
    Tampering(
        "why a dispute was decided is edited",
        "UPDATE disputes SET decided_reason = 'forged' WHERE id = '{denied}'",
        {"dispute_matches_decision denied"},
    ),
    Tampering(
        "the record of a decision is deleted",
        "DELETE FROM staff_actions WHERE subject = '{denied}'",
        {"dispute_matches_decision denied"},
    ),
    Tampering(
        "a second decision is written on the record",
        """
        INSERT INTO staff_actions (id, actor_id, actor_role, action, channel, subject, reason)
        SELECT 'act_' || repeat('a', 26), actor_id, actor_role, action, channel, subject, 'forged'
        FROM staff_actions WHERE subject = '{denied}'
        """,
        {"dispute_matches_decision denied"},
    ),
    Tampering(
        "a decided amount is edited, in the dispute",
        "UPDATE disputes SET amount_minor = 99 WHERE id = '{heard}'",
        {"dispute_matches_decision heard", "dispute_matches_reversal heard"},
    ),
    Tampering(
        "a decided amount is edited, in the dispute and on the record",
        """
        UPDATE disputes SET amount_minor = 601 WHERE id = '{heard}';
        UPDATE staff_actions SET after = jsonb_set(after, '{{amount}}', '601') WHERE subject = '{heard}'
        """,
        {"dispute_matches_decision heard", "dispute_matches_reversal heard"},
    ),
    Tampering(
        "a dispute is linked to a reversal of another hand",
        "UPDATE disputes SET reversal_transfer_id = '{given}' WHERE id = '{heard}'",
        {"dispute_matches_reversal heard"},
    ),
    Tampering(
        "a reversed dispute loses its reversal",
        """
        ALTER TABLE disputes DROP CONSTRAINT disputes_check6;
        UPDATE disputes SET reversal_transfer_id = NULL WHERE id = '{heard}'
        """,
        {"dispute_matches_reversal heard"},
    ),
    Tampering(
        "a rejected dispute is linked to a reversal",
        "UPDATE disputes SET reversal_transfer_id = '{awarded}' WHERE id = '{denied}'",
        {"dispute_matches_reversal denied"},
    ),
    Tampering(
        "the reversal of a dispute becomes one that was given back",
        """
        UPDATE transfers SET state = 'compensated' WHERE id = '{awarded}'
        """,
        {"dispute_matches_reversal heard", "legs_match_state awarded attempt 1"},
    ),
    Tampering(
        "a stranger states a case",
        """
        INSERT INTO dispute_statements (dispute_id, author_id, text)
        SELECT '{heard}', owner_id, 'forged' FROM accounts WHERE id = '{dora}'
        """,
        {"statements_of_parties heard"},
    ),
    Tampering(
        "a party states its case behind the book, more often than it may",
        """
        INSERT INTO dispute_statements (dispute_id, author_id, text)
        SELECT '{heard}', owner_id, 'forged' FROM accounts, generate_series(1, 20) WHERE id = '{gus}'
        """,
        {"statements_of_parties heard"},
    ),
    Tampering(
        "a dispute in which something was said is deleted",
        "DELETE FROM disputes WHERE id = '{heard}'",
        {"statements_of_parties heard"},
    ),
]

# What the audit cannot see, and what stands in its way instead: triggers, privileges, and whoever may switch them off.
UNSEEN = [
    Tampering(
        "the time of a posting without an entry is edited",
        "UPDATE postings SET recorded_at = 'epoch' WHERE (transfer_id, leg) = ('{deposit}', 'debit')",
    ),
    Tampering(
        "the destination of money in transit is edited",
        "UPDATE transfers SET destination_account_id = '{dora}' WHERE id = '{moving}'",
    ),
]
