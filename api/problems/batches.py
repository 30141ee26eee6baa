"""Batches: what may be asked for at once, and what may still be decided."""

from collections.abc import Mapping

from api.problems.codes import Meaning

BATCHES: Mapping[str, Meaning] = {
    "batch_not_found": Meaning(404, "No such batch", "You have no batch with this id."),
    "batch_over": Meaning(409, "The batch has ended", "The batch is completed already."),
    "batch_not_held": Meaning(409, "The batch waits for no decision", "The batch is in_progress."),
    "batch_too_large": Meaning(413, "The batch has too many items", "Send at most 10,000 items."),
    "batch_invalid": Meaning(
        422, "The batch is not valid", "1 error. Line 3: Another item has this reference. See errors for all of them."
    ),
}
