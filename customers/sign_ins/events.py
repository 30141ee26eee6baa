"""The trail of who signed in, who was refused, and which staff read a customer. Pure: no I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ledger.ids import AuthEventId, CustomerId


class AuthEventKind(StrEnum):
    """What happened. `locked_out`: a failure after which the next sign-in from there has to wait."""

    REGISTERED = "registered"
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SIGN_IN_FAILED = "sign_in_failed"
    LOCKED_OUT = "locked_out"
    SIGN_IN_REFUSED = "sign_in_refused"
    ACCESS_REFUSED = "access_refused"
    EMAIL_CODE_REQUESTED = "email_code_requested"
    EMAIL_VERIFIED = "email_verified"
    API_KEY_CREATED = "api_key_created"
    API_KEY_REVOKED = "api_key_revoked"
    RECOVERY_CODE_USED = "recovery_code_used"
    RECOVERY_CODES_REPLACED = "recovery_codes_replaced"
    SECOND_FACTOR_ADDED = "second_factor_added"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    SESSION_ENDED = "session_ended"
    SESSIONS_ENDED = "sessions_ended"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - an event
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an event
    PASSWORD_RESET_REQUESTED = "password_reset_requested"  # noqa: S105 - an event
    PASSWORD_RESET = "password_reset"  # noqa: S105 - an event
    CUSTOMER_READ = "customer_read"
    CUSTOMERS_LISTED = "customers_listed"


@dataclass(frozen=True, slots=True)
class AuthEvent:
    """One event. It is never edited.

    `customer_id` is whom it is about; None: nobody has registered with the address that was typed. `actor_id` is who
    was signed in; None: nobody. `client` is the address that the request came from.
    """

    id: AuthEventId
    kind: AuthEventKind
    customer_id: CustomerId | None
    actor_id: CustomerId | None
    client: str
    facts: dict[str, Any] | None
    recorded_at: datetime
