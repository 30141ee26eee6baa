"""Ways to change disputes and what is held for them behind the ledger's back."""

from tests.ledger.book_changes import Tampering

TAMPERED_DISPUTES = [
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
