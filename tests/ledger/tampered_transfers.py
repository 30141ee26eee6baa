"""Ways to change postings, transfers, keys and reversals behind the ledger's back."""

from tests.ledger.book_changes import Tampering

TAMPERED_TRANSFERS = [
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
            "spending_is_sum_of_debits alice",
        },
    ),
    Tampering(
        "a completed transfer is deleted",
        "DELETE FROM transfers WHERE id = '{done}'",
        {
            "key_names_transfer done",
            "posting_matches_transfer done/1/credit",
            "posting_matches_transfer done/1/debit",
            "spending_is_sum_of_debits alice",
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
]
