"""What staff alone ask for: roles, screening, audits, figures and histories."""

from collections.abc import Mapping

from api.problems.codes import Meaning

STAFF: Mapping[str, Meaning] = {
    "conflict_of_interest": Meaning(
        403, "Conflict of interest", "Somebody else must act on you, your accounts and your transfers."
    ),
    "address_vouched_for": Meaning(
        403, "You issued a code for this address", "Two other admins give this person a role."
    ),
    "role_too_young": Meaning(
        403, "Your role is too new", "This needs two people, and you do not count as one of them yet."
    ),
    "member_not_found": Meaning(404, "Not on the list", "Nobody with this id is on the list."),
    "role_request_not_found": Meaning(
        404, "No such request of a role", "No request with this id waits. It may have ended."
    ),
    "rule_set_not_found": Meaning(404, "No such rule set", "No rule set has this id."),
    "case_not_found": Meaning(404, "No such case", "There is no case with this id."),
    "projection_not_found": Meaning(404, "No such projection", "There is no projection with this name."),
    "lists_full": Meaning(409, "The lists are full", "All lists together hold 10,000 members at most."),
    "rules_from_file": Meaning(
        409, "The rules come from a file", "The rules come from a file, REMIT_RULES_FILE. They are changed there."
    ),
    "case_closed": Meaning(409, "The case is closed", "A case is closed once. Later flags open another one."),
    "payload_not_decryptable": Meaning(
        422,
        "A payload does not decrypt",
        "Its key is not in REMIT_HISTORY_KEYS, or the payload was changed.",
    ),
    "projection_rebuild_running": Meaning(
        409, "A rebuild of this projection is running", "Wait until it is completed: the projection shows its stage."
    ),
    "audit_running": Meaning(409, "An audit is running", "Try again after it has ended."),
    "period_too_large": Meaning(
        422, "The period holds too many transfers", "Ask for a shorter period: at most 2,000,000 are read at once."
    ),
}
