"""Transfers: requests, retries, cancellations, reviews, reversals and disputes."""

from collections.abc import Mapping

from api.problems.codes import Meaning

TRANSFERS: Mapping[str, Meaning] = {
    "sandbox_rails_off": Meaning(
        403, "Customers cannot make deposits and withdrawals here", "They come from the payment rails of this service."
    ),
    "ended_by_staff": Meaning(
        403, "Staff ended the transfer", "Only staff can try it again: ask them, or send a new transfer."
    ),
    "dispute_not_found": Meaning(404, "No such dispute", "You have no dispute with this id."),
    "transfer_not_found": Meaning(404, "No such transfer", "You have no transfer with this id."),
    "too_late": Meaning(409, "It is too late", "The transfer is completed."),
    "nothing_to_retry": Meaning(409, "No step is stuck", "No step is waiting to be retried."),
    "decided_already": Meaning(409, "You have decided already", "A reviewer's first decision is final."),
    "decision_refused": Meaning(409, "The decision is refused", "The amount is more than what is left to reverse."),
    "nothing_matches": Meaning(409, "Nothing matches", "No transfer in review matches the filter."),
    "more_than_seen": Meaning(409, "More than you saw", "More transfers match than the list had. Read it again."),
    "too_late_to_cancel": Meaning(409, "It is too late to cancel", "The transfer is debited."),
    "not_retryable": Meaning(
        409, "The transfer cannot be retried", "Only failed and compensated transfers can be retried."
    ),
    "attempts_used_up": Meaning(409, "All attempts are used", "All 3 attempts were made. Send a new transfer."),
    "transfer_altered": Meaning(
        409,
        "The transfer is not as it was accepted",
        "Its row was changed outside of the service. Staff have to restore it first.",
    ),
    "not_reversible": Meaning(
        409,
        "The transfer cannot be reversed",
        "Only a completed transfer between customers can be reversed, and a reversal cannot.",
    ),
    "reversal_too_large": Meaning(
        409, "Too little is left to reverse", "Other reversals have returned the rest, or are in progress."
    ),
    "not_disputable": Meaning(
        409,
        "The transfer cannot be disputed",
        "Only a recent, completed transfer that is not reversed can be disputed.",
    ),
    "dispute_open": Meaning(409, "A dispute is open already", "A transfer has at most one open dispute."),
    "dispute_closed": Meaning(409, "The dispute is closed", "It was decided, or it has expired."),
    "nothing_to_hold": Meaning(
        409, "Nothing can be held", "The payee's account has nothing free, or nothing is left to reverse."
    ),
    "too_many_statements": Meaning(
        409, "Too many statements", "Each party can make at most 20 statements in a dispute."
    ),
    "transfer_not_final": Meaning(409, "The transfer is not final yet", "A transfer has a receipt after it is final."),
    "same_account": Meaning(
        422, "Source and destination are the same account", "A transfer needs two different accounts."
    ),
    "transaction_id_reused": Meaning(
        422, "The transaction_id belongs to another movement", "It was used for another amount, currency or direction."
    ),
    "too_many_in_flight": Meaning(
        429,
        "Too many transfers are under way",
        "Wait until some of your transfers have ended, then send the request again with the same key.",
    ),
}
