"""All ways to change the books behind the ledger's back, with what the audit says, in the names of `scene.py`."""

from tests.ledger.book_changes import Tampering
from tests.ledger.tampered_disputes import TAMPERED_DISPUTES
from tests.ledger.tampered_entries import TAMPERED_ENTRIES
from tests.ledger.tampered_transfers import TAMPERED_TRANSFERS

TAMPERINGS = [*TAMPERED_ENTRIES, *TAMPERED_TRANSFERS, *TAMPERED_DISPUTES]

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
