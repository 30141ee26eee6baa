"""What the API takes and gives. Amounts are integers in the currency's minor unit; unknown fields are refused."""

import re
from datetime import datetime
from typing import Annotated, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator

from ledger.accounts import Account, AccountStatus
from ledger.ids import ACCOUNT_ID, AccountId, CustomerId, TransferId
from ledger.money import MAX_AMOUNT_MINOR, is_currency
from ledger.postgres.customers import Customer
from ledger.postgres.statements import StatementLine
from ledger.transfers import Kind, Leg, State, Transfer

MAX_PAGE = 50


def _known_currency(code: str) -> str:
    if not is_currency(code):
        raise ValueError(f"{code!r} is not an ISO 4217 currency code in circulation, such as USD")
    return code


def normalised_email(address: str) -> str:
    """The address as it is kept, however it is typed: international names in one form, and lower case.

    Raises ValueError for what is no address, a name with an address in brackets included.
    """
    try:
        return validate_email(address.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise ValueError(f"value is not a valid email address: {error}") from error


Email = Annotated[
    str,
    Field(max_length=254, examples=["ada@example.com"], json_schema_extra={"format": "email"}),
    AfterValidator(normalised_email),
]

_NO_TEXT = re.compile("[\0\ud800-\udfff]")

# No line breaks or other control characters; spaces around it do not count.
Text = StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")

Amount = Annotated[
    int, Field(strict=True, ge=1, le=MAX_AMOUNT_MINOR, description="In the currency's minor unit", examples=[125500])
]
Currency = Annotated[str, AfterValidator(_known_currency), Field(description="ISO 4217 code", examples=["USD"])]
AccountIdIn = Annotated[
    AccountId, StringConstraints(pattern=f"^{ACCOUNT_ID.pattern}$"), Field(examples=["acc_k5qd4ahyfpuxzmo2c3r7wn6tbe"])
]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description="Page size")]


class In(BaseModel):
    """A request. Fields that it does not name are refused, so that a typing error is never silently ignored."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: object) -> object:
        # JSON's escapes can say both; UTF-8 cannot hold the one, nor PostgreSQL the other.
        if isinstance(value, str) and _NO_TEXT.search(value):
            raise ValueError("Text must hold no zero character and no half of a surrogate pair")
        return value


class IdentityDocumentIn(In):
    type: Literal["NIN", "BVN", "ID_CARD"]
    number: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 /-]{2,31}$"), Field(examples=["22334455667"])
    ]


class RegisterIn(In):
    email: Email
    password: Annotated[SecretStr, Field(min_length=8, max_length=128, examples=["correct horse battery"])]
    full_name: Annotated[str, Text, Field(max_length=200, examples=["Ada Obi"])]
    currency: Currency
    identity_document: IdentityDocumentIn


class LoginIn(In):
    email: Annotated[str, Field(max_length=254, examples=["ada@example.com"])]
    password: Annotated[SecretStr, Field(max_length=128, examples=["correct horse battery"])]


class AccountIn(In):
    currency: Currency


class CashIn(In):
    """A deposit or a withdrawal. `transaction_id` is the customer's own reference, unique per account."""

    amount: Amount
    currency: Currency
    transaction_id: Annotated[str, Text, Field(max_length=100, examples=["bank-2026-11-0042"])] | None = None


class TransferIn(In):
    source_account_id: AccountIdIn
    destination_account_id: AccountIdIn
    amount: Amount
    currency: Currency
    note: Annotated[str, Text, Field(max_length=140, examples=["Rent, November"])] | None = None


class ReversalIn(In):
    """How much of a transfer is to come back, and why."""

    amount: Amount | None = Field(
        None, description="In the currency's minor unit; all that is left, where it is not given", examples=[4000]
    )
    reason: (
        Annotated[
            str,
            Text,
            Field(max_length=140, description="Both parties read it. Staff must give one", examples=["Sent twice"]),
        ]
        | None
    ) = None


class CustomerOut(BaseModel):
    id: CustomerId
    email: str
    full_name: str
    role: str
    created_at: datetime

    @classmethod
    def of(cls, customer: Customer) -> "CustomerOut":
        return cls.model_validate(customer, from_attributes=True)


class AccountOut(BaseModel):
    id: AccountId
    owner_id: CustomerId
    currency: str
    status: AccountStatus
    tier: int
    balance: int
    version: int
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> "AccountOut":
        return cls(
            id=account.id,
            owner_id=account.owner_id,
            currency=account.currency,
            status=account.status,
            tier=account.tier,
            balance=account.balance_minor,
            version=account.version,
            created_at=account.created_at,
        )


class AccountsOut(BaseModel):
    items: list[AccountOut]


class TokenOut(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the kind of token
    expires_in: int = Field(description="Seconds", examples=[900])


class RegisteredOut(TokenOut):
    customer: CustomerOut
    account: AccountOut


class EntryOut(BaseModel):
    """One line of an account's statement. `amount` is signed: negative where money left."""

    transfer_id: TransferId
    leg: Leg
    amount: int
    balance_before: int
    balance_after: int
    version: int
    recorded_at: datetime

    @classmethod
    def of(cls, line: StatementLine) -> "EntryOut":
        return cls(
            transfer_id=line.transfer_id,
            leg=line.leg,
            amount=line.amount_minor,
            balance_before=line.balance_before,
            balance_after=line.balance_after,
            version=line.version,
            recorded_at=line.recorded_at,
        )


class EntriesOut(BaseModel):
    items: list[EntryOut]
    next_cursor: str | None


class FailureOut(BaseModel):
    code: str = Field(examples=["insufficient_funds"])
    message: str


class TransferOut(BaseModel):
    """A transfer in its current state. A refusal is an outcome: state `failed` or `compensated`, with a failure."""

    id: TransferId
    kind: Kind
    state: State
    source_account_id: AccountId
    destination_account_id: AccountId
    amount: int
    currency: str
    note: str | None
    transaction_id: str | None
    attempt: int
    failure: FailureOut | None
    workflow_id: str | None = Field(description="For its owner: where operators find it in Temporal")
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    reverses_transfer_id: TransferId | None = Field(description="Of a reversal: which transfer it brings back")

    @classmethod
    def of(cls, transfer: Transfer, reader_id: CustomerId) -> "TransferOut":
        """As `reader_id` may see it: the workflow's id holds the owner's key, which is not the payee's to know."""
        mine = transfer.owner_id == reader_id
        return cls(
            id=transfer.id,
            kind=transfer.kind,
            state=transfer.state,
            source_account_id=transfer.source_account_id,
            destination_account_id=transfer.destination_account_id,
            amount=transfer.amount_minor,
            currency=transfer.currency,
            note=transfer.note,
            transaction_id=transfer.transaction_id,
            attempt=transfer.attempt,
            failure=FailureOut.model_validate(transfer.failure, from_attributes=True) if transfer.failure else None,
            workflow_id=transfer.workflow_id if mine else None,
            created_at=transfer.created_at,
            updated_at=transfer.updated_at,
            completed_at=transfer.completed_at,
            reverses_transfer_id=transfer.reverses_transfer_id,
        )


class AttemptOut(BaseModel):
    attempt: int
    state: State
    failure: FailureOut | None
    workflow_id: str
    ended_at: datetime | None


class AttemptsOut(BaseModel):
    items: list[AttemptOut]


class TransfersOut(BaseModel):
    items: list[TransferOut]
    next_cursor: str | None


class ReversalsOut(BaseModel):
    """What has come back of a transfer, and its reversals, newest first."""

    reversed_amount: int = Field(description="In completed reversals", examples=[4000])
    left_amount: int = Field(description="Neither reversed nor on its way back", examples=[6000])
    items: list[TransferOut]
    next_cursor: str | None


class PostingOut(BaseModel):
    id: str
    leg: Leg
    amount: int
    recorded_at: datetime


class ReceiptOut(BaseModel):
    """Proof of how a transfer ended: the transfer, its amount in words of the currency, and its postings."""

    transfer: TransferOut
    amount_text: str = Field(examples=["$1,255.00"])
    postings: list[PostingOut]
