"""Requests for a higher tier: what a customer asks for with another document, and who decides. Pure: no I/O.

The rows decide: what is committed holds, and the workflow that waits beside them reads it there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.accounts import Account
from ledger.ids import AccountId, CustomerId, TierRequestId
from ledger.refusals import ActionRefused
from staff.permissions import Action, ConflictOfInterest, RoleTooYoung


class TierRequestState(StrEnum):
    """`open` waits for a decision. The others are final."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class TierRuling(StrEnum):
    """How somebody of the staff decides about a request."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class TierTerms:
    """How long staff have to decide, and from which tier on two of them must approve; None: one is enough."""

    deadline_seconds: int
    four_eyes_from_tier: int | None

    def approvals(self, tier: int) -> int:
        """How many different people must approve a request for this tier."""
        return 2 if self.four_eyes_from_tier is not None and tier >= self.four_eyes_from_tier else 1


@dataclass(frozen=True, slots=True)
class TierDecision:
    """One person's decision. A person's first decision about a request is final."""

    decider: CustomerId
    ruling: TierRuling
    reason: str


@dataclass(frozen=True, slots=True)
class TierRequest:
    """A row of `tier_requests`. Of the document's number it has the last characters only."""

    id: TierRequestId
    account_id: AccountId
    customer_id: CustomerId
    tier: int
    document_type: str
    last_characters: str
    state: TierRequestState
    approvals: int
    deadline: datetime
    created_at: datetime
    closed_at: datetime | None
    closed_reason: str | None

    @property
    def is_open(self) -> bool:
        """Whether it waits for a decision."""
        return self.state is TierRequestState.OPEN


@dataclass(frozen=True, slots=True)
class TierProgress:
    """What a request's workflow knows of it: no name, no number and no reason."""

    state: TierRequestState
    account_id: AccountId
    tier: int
    seconds_left: int
    approvals_missing: int


@dataclass(eq=False)
class NoSuchTierRequest(ActionRefused):
    """No request has this id."""

    code = "tier_request_not_found"
    request_id: TierRequestId

    def __str__(self) -> str:
        return f"There is no tier request {self.request_id}."


@dataclass(eq=False)
class TierNotHigher(ActionRefused):
    """The account has this tier, or a higher one."""

    code = "tier_not_higher"
    tier: int

    def __str__(self) -> str:
        return f"The account has tier {self.tier} already: ask for a higher one."


@dataclass(eq=False)
class TierRequestOpen(ActionRefused):
    """Another request for this account is open."""

    code = "tier_request_open"
    account_id: AccountId

    def __str__(self) -> str:
        return f"A request for account {self.account_id} waits for its decision."


@dataclass(eq=False)
class TierRequestClosed(ActionRefused):
    """The request is decided or expired, or this person has decided otherwise."""

    code = "tier_request_closed"
    why: str

    def __str__(self) -> str:
        return self.why


def check_may_request(account: Account, tier: int) -> None:
    """Raises `TierNotHigher` unless the account has a lower tier."""
    if account.tier >= tier:
        raise TierNotHigher(account.tier)


def is_repeat(
    request: TierRequest, earlier: Sequence[TierDecision], decision: TierDecision, too_young: RoleTooYoung | None
) -> bool:
    """Whether this person has made this decision before. False: it is new, and may be recorded.

    All is read under the request's row lock. Raises `ConflictOfInterest` for the customer's own request,
    `TierRequestClosed`, and `too_young` for an approval where two are needed.
    """
    if decision.decider == request.customer_id:
        raise ConflictOfInterest(Action.DECIDE_TIER_REQUEST)
    own = next((each for each in earlier if each.decider == decision.decider), None)
    if own is not None and own.ruling is decision.ruling:
        return True
    if not request.is_open:
        raise TierRequestClosed(f"The request is {request.state}.")
    if own is not None:
        raise TierRequestClosed(f"{decision.decider} has decided about this request already.")
    if too_young is not None and decision.ruling is TierRuling.APPROVE and request.approvals > 1:
        raise too_young
    return False


def state_after(request: TierRequest, decisions: Sequence[TierDecision]) -> TierRequestState:
    """What the decisions of different people amount to. One rejection is enough."""
    if any(each.ruling is TierRuling.REJECT for each in decisions):
        return TierRequestState.REJECTED
    return TierRequestState.APPROVED if len(decisions) >= request.approvals else TierRequestState.OPEN
