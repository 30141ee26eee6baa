"""Ways to change batches, standing orders and statements behind the book's back, in the names of `request_scene.py`."""

from tests.ledger.book_changes import Tampering

LINE = "batch_id = '{batch}' AND line"

TAMPERED_REQUESTS = [
    Tampering(
        "a batch counts a transfer that no chunk has posted",
        "UPDATE batches SET completed = completed + 1, posted = posted + 1, total = total + 1 WHERE id = '{batch}'",
        {"batch_counts_chunks batch", "batch_counts_items batch"},
    ),
    Tampering(
        "a refused item is counted as completed",
        """
        UPDATE batches SET completed = completed + 1, failed = failed - 1 WHERE id = '{batch}';
        UPDATE batch_chunks SET completed = completed + 1, failed = failed - 1 WHERE batch_id = '{batch}'
        """,
        {"batch_counts_items batch"},
    ),
    Tampering(
        "a chunk is deleted",
        "DELETE FROM batch_chunks WHERE batch_id = '{batch}'",
        {"batch_counts_chunks batch"},
    ),
    Tampering(
        "a chunk is posted again",
        """
        INSERT INTO batch_chunks (batch_id, number, lines, completed, failed, singles)
        SELECT batch_id, 2, lines, completed, failed, singles FROM batch_chunks WHERE batch_id = '{batch}'
        """,
        {"batch_counts_chunks batch"},
    ),
    Tampering(
        "an item is deleted",
        f"DELETE FROM batch_items WHERE {LINE} = 1",
        {"batch_counts_items batch"},
    ),
    Tampering(
        "the transfer of a posted item is another one",
        f"UPDATE batch_items SET transfer_id = '{{other}}' WHERE {LINE} = 1",
        {"batch_item_has_transfer batch line 1"},
    ),
    Tampering(
        "the transfer of a posted item is gone",
        f"UPDATE batch_items SET transfer_id = '{{never}}' WHERE {LINE} = 1",
        {"batch_item_has_transfer batch line 1", "batch_counts_items batch"},
    ),
    Tampering(
        "the amount of a posted item is edited",
        f"UPDATE batch_items SET amount_minor = amount_minor + 1 WHERE {LINE} = 1",
        {"batch_item_has_transfer batch line 1"},
    ),
    Tampering(
        "an item that was posted is called refused",
        f"""
        UPDATE batch_items SET outcome = 'refused', failure_code = 'forged', failure_message = 'forged' WHERE {LINE} = 1
        """,
        {"batch_item_has_transfer batch line 1", "batch_counts_items batch"},
    ),
    Tampering(
        "a batch that is cancelled had posted more",
        """
        UPDATE batches SET state = 'cancelled', ended_at = now(), posted = 0, completed = 0, failed = 0, singles = 0
        WHERE id = '{batch}'
        """,
        {
            "batch_counts_chunks batch",
            "batch_counts_items batch",
            "batch_item_has_transfer batch line 1",
            "batch_item_has_transfer batch line 2",
        },
    ),
    Tampering(
        "a missed date is called paid by the payment of another one",
        """
        UPDATE standing_order_occurrences c SET state = 'paid', transfer_id = p.transfer_id
        FROM standing_order_occurrences p
        WHERE c.order_id = '{order}' AND c.state = 'skipped' AND p.order_id = '{order}' AND p.state = 'paid'
        """,
        {"occurrence_has_transfer order skipped"},
    ),
    Tampering(
        "a paid date loses its transfer",
        "UPDATE standing_order_occurrences SET transfer_id = '{never}' WHERE order_id = '{order}' AND state = 'paid'",
        {"occurrence_has_transfer order paid"},
    ),
    Tampering(
        "a paid date names a transfer that failed",
        "UPDATE transfers SET state = 'failed' WHERE idempotency_key LIKE 'standing/{order}/%'",
        {"occurrence_has_transfer order paid", "legs_match_state payment attempt 1"},
    ),
    Tampering(
        "a paid date is called missed",
        """
        UPDATE standing_order_occurrences SET state = 'missed', code = 'forged'
        WHERE order_id = '{order}' AND state = 'paid'
        """,
        {"occurrence_has_transfer order paid"},
    ),
    Tampering(
        "a date of a paused order is set due again",
        """
        UPDATE standing_order_occurrences SET state = 'due', next_try_at = now()
        WHERE order_id = '{order}' AND state = 'skipped'
        """,
        {"nothing_due_of_stopped_order order skipped"},
    ),
    Tampering(
        "a statement is deleted",
        "DELETE FROM account_statements WHERE account_id = '{alice}' AND number = 1",
        {"statement_numbers alice"},
    ),
    Tampering(
        "the place where a statement begins is moved",
        """
        UPDATE account_statements SET from_version = from_version + 1 WHERE account_id = '{alice}' AND number = 2
        """,
        {
            "statements_follow alice statement 2",
            "statement_matches_entries alice statement 2",
            "statement_sums alice statement 2",
        },
    ),
    Tampering(
        "the closing of a statement is edited",
        "UPDATE account_statements SET closing_minor = closing_minor + 1 WHERE account_id = '{alice}' AND number = 1",
        {"statement_matches_entries alice statement 1", "statement_sums alice statement 1"},
    ),
    Tampering(
        "the hash of a statement is edited",
        "UPDATE account_statements SET head_hash = 'forged' WHERE account_id = '{alice}' AND number = 1",
        {"statement_matches_entries alice statement 1"},
    ),
    Tampering(
        "the sums of a statement are edited",
        """
        UPDATE account_statement_totals SET credits_minor = credits_minor + 5
        WHERE account_id = '{alice}' AND number = 1
        """,
        {"statement_sums alice statement 1"},
    ),
    Tampering(
        "the sums of a statement are gone",
        "DELETE FROM account_statement_totals WHERE account_id = '{alice}' AND number = 2",
        {"statement_sums alice statement 2"},
    ),
]
