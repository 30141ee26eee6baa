"""Problem responses (RFC 9457), and the only table from codes to HTTP, from those of each room."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from structlog.contextvars import get_contextvars

from api.problems.access import ACCESS
from api.problems.accounts import ACCOUNTS
from api.problems.batches import BATCHES
from api.problems.codes import Meaning
from api.problems.customers import CUSTOMERS
from api.problems.outages import OUTAGES
from api.problems.outgoing_events import OUTGOING_EVENTS
from api.problems.protocol import PROTOCOL
from api.problems.staff import STAFF
from api.problems.standing_orders import STANDING_ORDERS
from api.problems.transfers import TRANSFERS

MEDIA_TYPE = "application/problem+json"

# A problem's type is a path of this API, which describes it.
TYPES_PATH = "/problems/"


_ROOMS = (PROTOCOL, ACCESS, CUSTOMERS, ACCOUNTS, TRANSFERS, BATCHES, STAFF, STANDING_ORDERS, OUTGOING_EVENTS, OUTAGES)
PROBLEMS: Mapping[str, Meaning] = dict(sorted((code, meaning) for room in _ROOMS for code, meaning in room.items()))
assert len(PROBLEMS) == sum(map(len, _ROOMS)), "a code is in one room"

# A code as the contract shows it: one of these, and more in later releases.
ProblemCode = Annotated[str, Field(json_schema_extra={"enum": sorted(PROBLEMS)})]

RETRY_AFTER_SECONDS = 2

# What may be wrong with an item of a batch.
ITEM_ERRORS = (
    "missing",
    "unknown_field",
    "out_of_range",
    "invalid",
    "account_not_found",
    "same_account",
    "reference_repeated",
    "transaction_id_reused",
)

# More do not help whoever reads them.
MOST_FIELD_ERRORS = 20

_EXAMPLE_REQUEST_ID = "req_mfrggzdfmztwq2lknnwg23tpoa"


class FieldError(BaseModel):
    """A refused field."""

    field: str = Field(examples=["body.amount"])
    message: str = Field(examples=["Input should be greater than or equal to 1"])
    line: int | None = Field(None, description="Of an item of a batch: its line, from 1", examples=[3])
    code: Annotated[str, Field(json_schema_extra={"enum": [*ITEM_ERRORS]})] | None = Field(
        None, description="Of an item of a batch: what is wrong", examples=["reference_repeated"]
    )


class ProblemDetails(BaseModel):
    """RFC 9457: what went wrong and what to do about it. `code` is stable; the texts are for people."""

    type: str = Field(description="Where this API describes the problem", examples=["/problems/validation_failed"])
    title: str
    status: int
    detail: str
    instance: str = Field(
        description="The request, by its Request-Id", examples=[f"urn:remit:request:{_EXAMPLE_REQUEST_ID}"]
    )
    code: ProblemCode = Field(examples=["validation_failed"])
    errors: list[FieldError] | None = None


class ProblemTypeOut(BaseModel):
    """What a problem's `type` leads to: code, status and title of such problems, and an example of the detail."""

    type: str = Field(examples=["/problems/validation_failed"])
    code: ProblemCode = Field(examples=["validation_failed"])
    status: int = Field(examples=[422])
    title: str = Field(examples=["The request is not valid"])
    example: str = Field(examples=["See errors for the fields."])

    @classmethod
    def of(cls, code: str, meaning: Meaning) -> "ProblemTypeOut":
        """The description of this code."""
        return cls(
            type=TYPES_PATH + code, code=code, status=meaning.status, title=meaning.title, example=meaning.example
        )


class Problem(Exception):
    """Ends a request with the problem response of `code`. `detail` defaults to the example in `PROBLEMS`."""

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.meaning = PROBLEMS[code]
        self.detail = detail or self.meaning.example
        self.errors = errors
        self.headers = dict(headers or {})
        if self.meaning.status == 401:  # noqa: PLR2004
            self.headers["WWW-Authenticate"] = "Bearer"
        if self.meaning.status == 503:  # noqa: PLR2004
            self.headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))

    def response(self) -> JSONResponse:
        """The problem as HTTP."""
        request_id = get_contextvars().get("request_id", "unknown")
        details = _details(self.code, self.detail, request_id, self.errors)
        return JSONResponse(details, self.meaning.status, self.headers, MEDIA_TYPE)


def example_of(code: str) -> dict[str, Any]:
    """A problem response with this code, as the contract shows it."""
    return _details(code, PROBLEMS[code].example, _EXAMPLE_REQUEST_ID)


def _details(code: str, detail: str, request_id: str, errors: Sequence[FieldError] | None = None) -> dict[str, Any]:
    meaning = PROBLEMS[code]
    problem = ProblemDetails(
        type=TYPES_PATH + code,
        title=meaning.title,
        status=meaning.status,
        detail=detail,
        instance=f"urn:remit:request:{request_id}",
        code=code,
        errors=list(errors) if errors else None,
    )
    return problem.model_dump(exclude_none=True)


def problem_responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The problems of an OpenAPI operation, each with its example among the document's components."""
    responses: dict[int | str, dict[str, Any]] = {}
    for code in sorted(codes, key=lambda code: PROBLEMS[code].status):
        meaning = PROBLEMS[code]
        response = responses.setdefault(
            meaning.status,
            {
                "description": "",
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}, "examples": {}}},
            },
        )
        response["description"] = "; ".join(filter(None, [response["description"], meaning.title]))
        response["content"][MEDIA_TYPE]["examples"][code] = {"$ref": f"#/components/examples/{code}"}
    return responses
