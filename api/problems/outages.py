"""What the service cannot do at the moment: the same request may be repeated."""

from collections.abc import Mapping

from api.problems.codes import Meaning

OUTAGES: Mapping[str, Meaning] = {
    "internal_error": Meaning(500, "Internal error", "Repeat the request with the same key."),
    "workflow_lost": Meaning(
        503,
        "No workflow runs for the transfer at the moment",
        "Recovery resumes it. Repeat the request after Retry-After.",
    ),
    "temporal_unavailable": Meaning(
        503, "Temporal does not answer", "Repeat the request with the same key after the time in Retry-After."
    ),
    "too_busy": Meaning(503, "Too many requests at once", "Repeat the request after the time in Retry-After."),
    "account_busy": Meaning(
        503,
        "The account is busy",
        "Another transaction holds acc_k5qd4ahyfpuxzmo2c3r7wn6tbe. Repeat the request after the time in Retry-After.",
    ),
    "row_held": Meaning(
        503,
        "Another transaction holds what the request needs",
        "Repeat the request with the same key after the time in Retry-After.",
    ),
    "fingerprint_key_missing": Meaning(
        503,
        "A fingerprint key is missing",
        "This process does not have the key that the order was made with. Repeat the request after Retry-After.",
    ),
    "encryption_key_missing": Meaning(
        503,
        "An encryption key is missing",
        "This process does not have the key of what it has to read or write. Staff set REMIT_ENCRYPTION_KEYS.",
    ),
    "disk_full": Meaning(
        503, "PostgreSQL's disk is full", "Repeat the request with the same key after the time in Retry-After."
    ),
    "database_unavailable": Meaning(
        503, "PostgreSQL does not answer", "Repeat the request with the same key after the time in Retry-After."
    ),
}
