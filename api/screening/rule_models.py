"""Rule sets, lists and verdicts as requests and answers."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from api.staff.models import ReasonIn
from ledger.ids import CustomerId, RuleSetId, TransferId
from screening.member_lists import LIST_NAME, MEMBER_ID, ListMember
from screening.postgres.rule_sets import RulesNow
from screening.rule_sets import MOST_RULES

Rules = list[dict[str, Any]]

_EXAMPLE: Rules = [{"kind": "amount", "from_major": 50_000, "answer": "review"}]


class RulesIn(ReasonIn):
    """All rules, as a file of rules has them. None of the present rules stays unless it is among them."""

    rules: Annotated[Rules, Field(max_length=MOST_RULES, examples=[_EXAMPLE])] | None = Field(
        description="Null: those of the settings again"
    )


class RuleSetChangeOut(BaseModel):
    """A change of the rules in force: another admin had requested it before."""

    number: int
    rule_set_id: RuleSetId | None = Field(description="Null: those of the settings again")
    rules: Rules | None = Field(examples=[_EXAMPLE])
    changed_at: datetime
    changed_by: CustomerId
    requested_by: CustomerId
    reason: str


class RulesNowOut(BaseModel):
    """The rules in force."""

    rule_set_id: RuleSetId
    rules: Rules = Field(description="Each with all its fields", examples=[_EXAMPLE])
    change: RuleSetChangeOut | None = Field(description="Null: nobody has changed those of the settings or the file")

    @classmethod
    def of(cls, now: RulesNow) -> "RulesNowOut":
        return cls.model_validate(now, from_attributes=True)


class RuleSetChangesOut(BaseModel):
    """A page of changes, newest first."""

    items: list[RuleSetChangeOut]
    next_cursor: str | None


class RuleSetOut(BaseModel):
    rule_set_id: RuleSetId
    rules: Rules = Field(examples=[_EXAMPLE])


ListName = Annotated[str, StringConstraints(pattern=f"^{LIST_NAME.pattern}$"), Field(examples=["blocked"])]


MemberId = Annotated[
    str,
    StringConstraints(pattern=f"^({MEMBER_ID.pattern})$"),
    Field(description="An account, or a customer with all their accounts", examples=["acc_k5qd4ahyfpuxzmo2c3r7wn6tbe"]),
]


class ListMemberIn(ReasonIn):
    member_id: MemberId


class ListMemberOut(BaseModel):
    """An account on a list, or a customer with all their accounts."""

    list: str = Field(examples=["blocked"])
    member_id: MemberId
    added_by: CustomerId
    reason: str
    added_at: datetime

    @classmethod
    def of(cls, member: ListMember) -> "ListMemberOut":
        return cls.model_validate(member, from_attributes=True)


class ListMembersOut(BaseModel):
    """A page of members, newest first."""

    items: list[ListMemberOut]
    next_cursor: str | None


class ListSizeOut(BaseModel):
    list: str = Field(examples=["blocked"])
    members: int


class ListSizesOut(BaseModel):
    items: list[ListSizeOut]


class FindingOut(BaseModel):
    answer: str = Field(examples=["flag"])
    rule: str = Field(validation_alias="code", examples=["large_amount"])
    reason: str = Field(examples=["The amount of $12,000.00 reaches $10,000.00."])


class VerdictOut(BaseModel):
    """What screening said about one attempt, with what its rules saw."""

    attempt: int
    answer: str = Field(description="`flag`, `review` or `decline`", examples=["flag"])
    rule_set_id: RuleSetId
    findings: list[FindingOut]
    facts: dict[str, Any]
    screened_at: datetime


class VerdictsOut(BaseModel):
    """The verdicts on a transfer that were no plain allow, oldest first."""

    transfer_id: TransferId
    screened_by: RuleSetId | None = Field(description="The rules that let the transfer pass; null: none has yet")
    items: list[VerdictOut]
