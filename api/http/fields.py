"""Fields that several requests share. Amounts are integers in the currency's minor unit."""

import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from api.http.problems import MOST_FIELD_ERRORS
from database.paging import Span
from ledger.account_numbers import ACCOUNT_NUMBER, AccountNumber, compact, is_account_number, looks_like_a_number
from ledger.ids import ACCOUNT_ID, TRANSFER_ID, AccountId, TransferId
from ledger.money import MAX_AMOUNT_MINOR, is_currency

MAX_PAGE = 50


def _known_currency(code: str) -> str:
    if not is_currency(code):
        raise ValueError(f"{code!r} is not an ISO 4217 code of a currency in circulation, such as USD")
    return code


def normalised_email(address: str) -> str:
    """The stored form of an email address: Unicode in one normal form, lower case.

    Raises `ValueError` for anything else, also for a name with an address in brackets.
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


# Zero, halves of surrogate pairs, C1 controls, line and paragraph separators, and all controls of the direction of text
# (Unicode's Bidi_Control), which can make one text look like another.
_CONTROLS = r"\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"

_NO_TEXT = re.compile(f"[\0\ud800-\udfff{_CONTROLS}]")


# No line breaks or other control characters. Spaces around the text are removed.
Text = StringConstraints(strip_whitespace=True, min_length=1, pattern=rf"^[^\u0000-\u001f{_CONTROLS}]*$")


def _as_integer(given: object) -> object:
    """JSON knows one kind of number: 1.0 is the integer 1. What is too large is left for the check of the limits."""
    if isinstance(given, Decimal) and abs(given) <= MAX_AMOUNT_MINOR and given == given.to_integral_value():
        return int(given)
    return given


Whole = BeforeValidator(_as_integer)


Amount = Annotated[
    int,
    Field(strict=True, ge=1, le=MAX_AMOUNT_MINOR, description="In the currency's minor unit", examples=[125500]),
    Whole,
]


MetadataName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
MetadataText = Annotated[str, Text, Field(max_length=200)]


Metadata = Annotated[
    dict[MetadataName, MetadataText],
    Field(
        max_length=20,
        description="The customer's own notes, kept with the transfer and given back to its owner and to staff. Remit "
        "does not read them. Part of the request: with other metadata a key is used for another request",
        examples=[{"invoice": "2026-0042"}],
    ),
    AfterValidator(lambda given: given or None),
]


TransferIdIn = Annotated[
    TransferId,
    StringConstraints(pattern=f"^{TRANSFER_ID.pattern}$"),
    Field(examples=["trf_iuwbh4hkzdez5j5ag3ea6cau2u"]),
]


# As the contract shows it; what is answered was checked when it came in.
CurrencyCode = Annotated[
    str, Field(description="ISO 4217 code", examples=["USD"], json_schema_extra={"pattern": "^[A-Z]{3}$"})
]


Currency = Annotated[CurrencyCode, AfterValidator(_known_currency)]


def _normalised_password(password: SecretStr) -> SecretStr:
    """One form of Unicode, so that a password is the same from every keyboard (RFC 8265, section 4.2)."""
    return SecretStr(unicodedata.normalize("NFC", password.get_secret_value()))


# Of a password: the last check, after its length.
NormalForm = AfterValidator(_normalised_password)


AccountIdIn = Annotated[AccountId, StringConstraints(pattern=f"^{ACCOUNT_ID.pattern}$")]


_NUMBER = {"pattern": f"^{ACCOUNT_NUMBER.pattern}$"}
_ID_OR_NUMBER = f"^({ACCOUNT_ID.pattern}|{ACCOUNT_NUMBER.pattern})$"
_NUMBER_EXAMPLE = "RM04404040404040"


def _account_number(typed: str) -> str:
    number = compact(typed)
    if not is_account_number(number):
        raise ValueError("is no account number: a digit is wrong or missing")
    return number


def _id_or_number(typed: str) -> str:
    return _account_number(typed) if looks_like_a_number(typed) else typed


# An account number in a path, in any spelling.
NumberIn = Annotated[
    str,
    Path(max_length=40, description="Spaces and small letters do not matter", examples=[_NUMBER_EXAMPLE]),
    AfterValidator(_account_number),
]

NumberOut = Annotated[
    AccountNumber,
    Field(description="What payers may use for its id", examples=[_NUMBER_EXAMPLE], json_schema_extra=_NUMBER),
]

# The account that is paid: its id, or its number in any spelling.
PayeeAccountIn = Annotated[
    str,
    BeforeValidator(lambda given: _id_or_number(given) if isinstance(given, str) else given),
    StringConstraints(pattern=_ID_OR_NUMBER),
    Field(json_schema_extra={"pattern": _ID_OR_NUMBER}),
]

AccountName = Annotated[str, Text, Field(max_length=60, examples=["Holidays"])]


Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description="Page size")]


# The parameters of a list: how many items, and where the page before ended.
PageSize = Annotated[Limit, Query()]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the previous page of this list")]


def _in_the_calendar(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is not in the years 1 to 9999 of UTC") from error


# With its offset, which may lead out of the calendar.
Moment = Annotated[AwareDatetime, AfterValidator(_in_the_calendar)]


# A limit of amounts, in a query: numbers are text there.
Minor = Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)]


class ListFilters(BaseModel):
    """The parameters of a list that is sorted by time. All filters of a request apply together."""

    model_config = ConfigDict(extra="forbid")

    created_after: Moment | None = Field(None, description="At this time or later")
    created_before: Moment | None = Field(None, description="Before this time")
    limit: Limit = 20
    cursor: Cursor = None

    @property
    def span(self) -> Span:
        """The times that the list is asked for."""
        return Span(self.created_after, self.created_before)


class In(BaseModel):
    """A request body. Unknown fields are refused, so that a misspelt one is never silently ignored."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _has_few_unknown_fields(cls, given: object) -> object:
        # Thousands of errors would take longer to write than all else that a request does.
        if isinstance(given, dict) and len(given) > len(cls.model_fields) + MOST_FIELD_ERRORS:
            raise ValueError(f"The object has {len(given)} fields; at most {len(cls.model_fields)} are known here")
        return given

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: object) -> object:
        # UTF-8 cannot encode half of a pair, and PostgreSQL cannot store a zero. JSON's escapes can express both.
        if isinstance(value, str) and _NO_TEXT.search(value):
            raise ValueError(
                "Text must not contain a zero or control character, a change of direction, or half of a surrogate pair"
            )
        return value
