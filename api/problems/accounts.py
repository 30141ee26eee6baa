"""Accounts: what is done to them, their tiers, and their rebuilds."""

from collections.abc import Mapping

from api.problems.codes import Meaning

ACCOUNTS: Mapping[str, Meaning] = {
    "account_not_found": Meaning(404, "No such account", "You have no account with this id."),
    "tier_request_not_found": Meaning(404, "No such request", "You have no tier request with this id."),
    "rebuild_not_found": Meaning(404, "No such rebuild", "There is no rebuild with this id."),
    "account_exists": Meaning(409, "The account exists already", "You hold an account in this currency already."),
    "tier_not_higher": Meaning(409, "The tier is not higher", "The account has tier 2 already: ask for a higher one."),
    "tier_request_open": Meaning(
        409, "A request is open already", "An account has at most one open request for a higher tier."
    ),
    "tier_request_closed": Meaning(409, "The request is closed", "It was decided, or it has expired."),
    "account_closed": Meaning(409, "The account is closed", "A closed account never opens again."),
    "account_already_frozen": Meaning(
        409, "The account is frozen already", "It is frozen in just this way. Freeze it in another way, or unfreeze it."
    ),
    "account_not_frozen": Meaning(409, "The account is not frozen", "Only a frozen account can be unfrozen."),
    "account_of_system": Meaning(409, "The account is the system's", "It can be frozen, unfrozen and rebuilt only."),
    "account_not_empty": Meaning(409, "The account is not empty", "Only an empty account can be closed."),
    "account_in_transit": Meaning(
        409, "Transfers are in progress", "The account can be closed when every transfer from or to it has ended."
    ),
    "entries_broken": Meaning(
        409, "The account's entries were changed", "The account is unchanged. Restore its entries from a backup first."
    ),
    "entries_not_read": Meaning(
        409,
        "The account's entries take too long to read",
        "Audit the books first: a rebuild begins where an audit ended.",
    ),
    "statement_not_found": Meaning(404, "No such statement", "The account has no statement with this number."),
    "statement_not_ready": Meaning(
        409,
        "The statement is being made",
        "The statement is being made: 50,000 of 480,000 lines added up. Ask again in a moment.",
    ),
    "statement_period_not_begun": Meaning(
        422, "The period has not begun", "The period begins at 2027-01-01T00:00:00+00:00, which is to come."
    ),
    "statement_too_long": Meaning(
        422,
        "The statement is too long for this format",
        "The statement has 480,000 lines; this format takes 100,000. Take CSV, XML or JSON.",
    ),
    "more_held_than_balance": Meaning(
        409, "More is held than the balance would be", "Release what the account's disputes hold, then rebuild it."
    ),
}
