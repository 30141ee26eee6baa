"""Customers: their addresses, documents, payees and messages."""

from collections.abc import Mapping

from api.problems.codes import Meaning

CUSTOMERS: Mapping[str, Meaning] = {
    "identity_missing": Meaning(
        403, "An account needs an identity document", "You are staff without one. Register with another email address."
    ),
    "customer_not_found": Meaning(404, "No such customer", "No customer has this id."),
    "payee_not_found": Meaning(404, "No such payee", "No open account has this number."),
    "document_not_found": Meaning(404, "No such document", "There is no document with this id."),
    "notification_not_found": Meaning(404, "No such notification", "You have no notification with this id."),
    "email_taken": Meaning(409, "The email address is taken", "A customer is registered with this email address."),
    "email_not_verified": Meaning(
        409, "The email address is not verified", "Only somebody whose address is verified becomes staff."
    ),
    "identity_verified": Meaning(409, "The identity is verified", "Your identity is verified already."),
    "document_undecided": Meaning(
        409, "The last document is not decided", "Your last document is still being checked. Wait for its result."
    ),
    "document_decided": Meaning(409, "The document is decided", "The first decision about a document is final."),
    "too_many_payee_checks": Meaning(
        429, "Too many payee checks", "Wait for the seconds in Retry-After, then check another number."
    ),
}
