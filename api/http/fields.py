"""Fields that several requests share. Amounts are integers in the currency's minor unit."""

import re
from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from api.http.problems import MOST_FIELD_ERRORS
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


_NO_TEXT = re.compile("[\0\ud800-\udfff]")


# No line breaks or other control characters. Spaces around the text are removed.
Text = StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")


Amount = Annotated[
    int, Field(strict=True, ge=1, le=MAX_AMOUNT_MINOR, description="In the currency's minor unit", examples=[125500])
]


Currency = Annotated[str, AfterValidator(_known_currency), Field(description="ISO 4217 code", examples=["USD"])]


AccountIdIn = Annotated[
    AccountId, StringConstraints(pattern=f"^{ACCOUNT_ID.pattern}$"), Field(examples=["acc_k5qd4ahyfpuxzmo2c3r7wn6tbe"])
]


TransferIdIn = Annotated[
    TransferId,
    StringConstraints(pattern=f"^{TRANSFER_ID.pattern}$"),
    Field(examples=["trf_iuwbh4hkzdez5j5ag3ea6cau2u"]),
]


Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description="Page size")]


# The parameters of a list: how many items, and where the page before ended.
PageSize = Annotated[Limit, Query()]
Cursor = Annotated[str | None, Query(max_length=200, description="next_cursor of the previous page")]


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
        # JSON's escapes can express both. UTF-8 cannot encode half of a pair, and PostgreSQL cannot store a zero.
        if isinstance(value, str) and _NO_TEXT.search(value):
            raise ValueError("Text must not contain a zero character or half of a surrogate pair")
        return value
