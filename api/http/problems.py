"""Problem responses (RFC 9457), and the only table from codes to HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match
from structlog.contextvars import get_contextvars

from api.temporal_connection import TemporalUnavailable
from database.connections import DiskFull, NotText, RowHeld, Unavailable
from database.encryption import EncryptionKeyMissing
from database.trail.cause import CAUSE
from ledger.fingerprints import FingerprintKeyMissing
from ledger.postgres.account_queue import AccountBusy
from ledger.refusals import ActionRefused

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"

# A problem's type is a path of this API, which describes it.
TYPES_PATH = "/problems/"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means: its HTTP status, its title, and an example of the detail, which is also its default."""

    status: int
    title: str
    example: str


PROBLEMS: Mapping[str, Meaning] = {
    "invalid_json": Meaning(400, "The body is not valid JSON", "Expecting value at line 1, column 1."),
    "idempotency_key_missing": Meaning(
        400,
        "The Idempotency-Key header is missing",
        "Send an Idempotency-Key header that is unique to this movement of money.",
    ),
    "idempotency_key_invalid": Meaning(
        400,
        "The Idempotency-Key header is not valid",
        "Use 1 to 255 printable ASCII characters, bare or as a quoted string.",
    ),
    "request_malformed": Meaning(400, "The request is not valid HTTP", "Send the request by HTTP/1.1."),
    "header_repeated": Meaning(
        400, "A header occurs twice", "Send Authorization and Content-Type at most once, each as one line."
    ),
    "cursor_invalid": Meaning(
        400, "The cursor is not valid", "Send the next_cursor of the previous page of this list, unchanged."
    ),
    "not_authenticated": Meaning(401, "Not signed in", "Send `Authorization: Bearer` with an access token."),
    "token_expired": Meaning(401, "The access token has expired", "Get the next one at /v1/auth/refresh, or sign in."),
    "refresh_token_invalid": Meaning(
        401, "The refresh token is not valid", "Its session has ended. Sign in again at /v1/auth/login."
    ),
    "refresh_token_reused": Meaning(
        401,
        "The refresh token was used before",
        "It may be stolen, so the session has ended for everybody who holds its tokens. Sign in again.",
    ),
    "second_factor_required": Meaning(
        401, "A second factor is needed", "Send second_factor as well: a code of your app, or a recovery code."
    ),
    "second_factor_invalid": Meaning(
        401,
        "The second factor is not valid",
        "Send the present code of your app, each once, or an unused recovery code.",
    ),
    "credentials_invalid": Meaning(401, "Wrong email or password", "No customer has this email and password."),
    "forbidden": Meaning(403, "Not allowed", "Your role does not allow this."),
    "password_wrong": Meaning(403, "Wrong password", "This is not your present password."),
    "customer_disabled": Meaning(403, "You are disabled", "Staff of this service have disabled you. Ask them."),
    "api_key_refused": Meaning(403, "Not by an API key", "Sign in: no API key may do this, whatever its scopes."),
    "scope_missing": Meaning(403, "A scope is missing", "This API key needs the scope transfers:write."),
    "csrf_refused": Meaning(
        403,
        "The request is not of our page",
        "With cookies, send X-CSRF-Token with what the sign-in or refresh answered, from a page of this origin.",
    ),
    "second_factor_missing": Meaning(
        403,
        "Staff need a second factor",
        "Add one at /v1/auth/second-factor. This service asks it of everybody on its staff.",
    ),
    "mail_off": Meaning(403, "This service sends no mails", "Ask its staff for another password."),
    "sandbox_rails_off": Meaning(
        403, "Customers cannot make deposits and withdrawals here", "They come from the payment rails of this service."
    ),
    "identity_missing": Meaning(
        403, "An account needs an identity document", "You are staff without one. Register with another email address."
    ),
    "conflict_of_interest": Meaning(
        403, "Conflict of interest", "Somebody else must act on you, your accounts and your transfers."
    ),
    "not_staff": Meaning(403, "Not an operator or admin", "You are no longer an operator or admin."),
    "address_vouched_for": Meaning(
        403, "You issued a code for this address", "Two other admins give this person a role."
    ),
    "role_too_young": Meaning(
        403, "Your role is too new", "This needs two people, and you do not count as one of them yet."
    ),
    "ended_by_staff": Meaning(
        403, "Staff ended the transfer", "Only staff can try it again: ask them, or send a new transfer."
    ),
    "not_found": Meaning(404, "Not found", "No such path."),
    "account_not_found": Meaning(404, "No such account", "You have no account with this id."),
    "api_key_not_found": Meaning(404, "No such API key", "You have no API key with this id."),
    "session_not_found": Meaning(404, "No such session", "You have no session with this id."),
    "customer_not_found": Meaning(404, "No such customer", "No customer has this id."),
    "payee_not_found": Meaning(404, "No such payee", "No open account has this number."),
    "member_not_found": Meaning(404, "Not on the list", "Nobody with this id is on the list."),
    "rule_set_not_found": Meaning(404, "No such rule set", "No rule set has this id."),
    "dead_letter_not_found": Meaning(404, "No such dead letter", "There is no dead letter with this id."),
    "case_not_found": Meaning(404, "No such case", "There is no case with this id."),
    "document_not_found": Meaning(404, "No such document", "There is no document with this id."),
    "dispute_not_found": Meaning(404, "No such dispute", "You have no dispute with this id."),
    "tier_request_not_found": Meaning(404, "No such request", "You have no tier request with this id."),
    "projection_not_found": Meaning(404, "No such projection", "There is no projection with this name."),
    "webhook_endpoint_not_found": Meaning(
        404, "No such webhook endpoint", "There is no webhook endpoint with this id."
    ),
    "rebuild_not_found": Meaning(404, "No such rebuild", "There is no rebuild with this id."),
    "notification_not_found": Meaning(404, "No such notification", "You have no notification with this id."),
    "transfer_not_found": Meaning(404, "No such transfer", "You have no transfer with this id."),
    "method_not_allowed": Meaning(405, "Method not allowed", "This path does not support this method."),
    "cursor_expired": Meaning(
        410, "Events behind this cursor are no longer kept", "The oldest events that are kept are behind position 1200."
    ),
    "request_too_slow": Meaning(
        408,
        "The request arrives too slowly",
        "Send the headers within 10 seconds, and then the body within 10 seconds.",
    ),
    "email_taken": Meaning(409, "The email address is taken", "A customer is registered with this email address."),
    "email_not_verified": Meaning(
        409, "The email address is not verified", "Only somebody whose address is verified becomes staff."
    ),
    "lists_full": Meaning(409, "The lists are full", "All lists together hold 10,000 members at most."),
    "rules_from_file": Meaning(
        409, "The rules come from a file", "The rules come from a file, REMIT_RULES_FILE. They are changed there."
    ),
    "dead_letter_ended": Meaning(
        409, "The dead letter has ended", "A dead letter is replayed or discarded once. What dies again is another one."
    ),
    "case_closed": Meaning(409, "The case is closed", "A case is closed once. Later flags open another one."),
    "identity_verified": Meaning(409, "The identity is verified", "Your identity is verified already."),
    "document_undecided": Meaning(
        409, "The last document is not decided", "Your last document is still being checked. Wait for its result."
    ),
    "document_decided": Meaning(409, "The document is decided", "The first decision about a document is final."),
    "too_many_webhook_endpoints": Meaning(
        409, "There are too many webhook endpoints", "There are 20 already: delete one that is not needed."
    ),
    "webhook_endpoint_disabled": Meaning(
        409, "The webhook endpoint is disabled", "Nothing is sent to it: enable it first."
    ),
    "account_exists": Meaning(409, "The account exists already", "You hold an account in this currency already."),
    "second_factor_exists": Meaning(
        409, "There is a second factor, or none was begun", "Begin to add one, or remove the present one first."
    ),
    "too_late": Meaning(409, "It is too late", "The transfer is completed."),
    "nothing_to_retry": Meaning(409, "No step is stuck", "No step is waiting to be retried."),
    "decided_already": Meaning(409, "You have decided already", "A reviewer's first decision is final."),
    "decision_refused": Meaning(409, "The decision is refused", "The amount is more than what is left to reverse."),
    "nothing_matches": Meaning(409, "Nothing matches", "No transfer in review matches the filter."),
    "more_than_seen": Meaning(409, "More than you saw", "More transfers match than the list had. Read it again."),
    "too_late_to_cancel": Meaning(409, "It is too late to cancel", "The transfer is debited."),
    "not_retryable": Meaning(
        409, "The transfer cannot be retried", "Only failed and compensated transfers can be retried."
    ),
    "attempts_used_up": Meaning(409, "All attempts are used", "All 3 attempts were made. Send a new transfer."),
    "transfer_altered": Meaning(
        409,
        "The transfer is not as it was accepted",
        "Its row was changed outside of the service. Staff have to restore it first.",
    ),
    "not_reversible": Meaning(
        409,
        "The transfer cannot be reversed",
        "Only a completed transfer between customers can be reversed, and a reversal cannot.",
    ),
    "reversal_too_large": Meaning(
        409, "Too little is left to reverse", "Other reversals have returned the rest, or are in progress."
    ),
    "not_disputable": Meaning(
        409,
        "The transfer cannot be disputed",
        "Only a recent, completed transfer that is not reversed can be disputed.",
    ),
    "tier_not_higher": Meaning(409, "The tier is not higher", "The account has tier 2 already: ask for a higher one."),
    "tier_request_open": Meaning(
        409, "A request is open already", "An account has at most one open request for a higher tier."
    ),
    "tier_request_closed": Meaning(409, "The request is closed", "It was decided, or it has expired."),
    "dispute_open": Meaning(409, "A dispute is open already", "A transfer has at most one open dispute."),
    "dispute_closed": Meaning(409, "The dispute is closed", "It was decided, or it has expired."),
    "nothing_to_hold": Meaning(
        409, "Nothing can be held", "The payee's account has nothing free, or nothing is left to reverse."
    ),
    "too_many_statements": Meaning(
        409, "Too many statements", "Each party can make at most 20 statements in a dispute."
    ),
    "transfer_not_final": Meaning(409, "The transfer is not final yet", "A transfer has a receipt after it is final."),
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
    "more_held_than_balance": Meaning(
        409, "More is held than the balance would be", "Release what the account's disputes hold, then rebuild it."
    ),
    "payload_not_decryptable": Meaning(
        422,
        "A payload does not decrypt",
        "Its key is not in REMIT_HISTORY_KEYS, or the payload was changed.",
    ),
    "projection_rebuild_running": Meaning(
        409, "A rebuild of this projection is running", "Wait until it is completed: the projection shows its stage."
    ),
    "audit_running": Meaning(409, "An audit is running", "Try again after it has ended."),
    "body_too_large": Meaning(413, "The body is too large", "Send at most 65,536 bytes."),
    "uri_too_long": Meaning(414, "The URL is too long", "Send a path and query of at most 8,192 bytes."),
    "content_type_unsupported": Meaning(
        415, "The body is not declared as JSON", "Send JSON in UTF-8, with `Content-Type: application/json`."
    ),
    "webhook_url_refused": Meaning(422, "No webhook is sent to this URL", "The address is not public."),
    "validation_failed": Meaning(422, "The request is not valid", "See errors for the fields."),
    "period_too_large": Meaning(
        422, "The period holds too many transfers", "Ask for a shorter period: at most 2,000,000 are read at once."
    ),
    "same_account": Meaning(
        422, "Source and destination are the same account", "A transfer needs two different accounts."
    ),
    "idempotency_key_reused": Meaning(
        422,
        "The Idempotency-Key belongs to another request",
        "The first request's transfer is unchanged. Use a new key.",
    ),
    "transaction_id_reused": Meaning(
        422, "The transaction_id belongs to another movement", "It was used for another amount, currency or direction."
    ),
    "verification_code_invalid": Meaning(
        422, "The code is not valid", "It has expired, or it was made for another customer or address."
    ),
    "rate_limited": Meaning(429, "Too many requests", "Wait for the seconds in Retry-After. Then a new window begins."),
    "too_many_streams": Meaning(
        429,
        "Too many open streams",
        "Close one first: a customer may hold 20 open at one process, and it serves 1,000.",
    ),
    "too_many_in_flight": Meaning(
        429,
        "Too many transfers are under way",
        "Wait until some of your transfers have ended, then send the request again with the same key.",
    ),
    "reset_code_invalid": Meaning(
        422, "The code is not valid", "It has expired or was used, or the password has changed. Ask for another mail."
    ),
    "too_many_attempts": Meaning(
        429, "Too many failed sign-ins", "Wait for the seconds in Retry-After, then try again."
    ),
    "too_many_payee_checks": Meaning(
        429, "Too many payee checks", "Wait for the seconds in Retry-After, then check another number."
    ),
    "headers_too_large": Meaning(
        431, "The headers are too large", "Send at most 8,192 bytes a header, and 16,384 bytes of them all."
    ),
    "internal_error": Meaning(500, "Internal error", "Repeat the request with the same key."),
    "workflow_lost": Meaning(
        503,
        "No workflow runs for the transfer at the moment",
        "Recovery resumes it. Repeat the request after Retry-After.",
    ),
    "temporal_unavailable": Meaning(
        503, "Temporal does not answer", "Repeat the request with the same key after the time in Retry-After."
    ),
    "too_busy": Meaning(503, "Too many requests at once", "Repeat the request after the time in Retry-After."),
    "account_busy": Meaning(
        503,
        "The account is busy",
        "Another transaction holds acc_k5qd4ahyfpuxzmo2c3r7wn6tbe. Repeat the request after the time in Retry-After.",
    ),
    "row_held": Meaning(
        503,
        "Another transaction holds what the request needs",
        "Repeat the request with the same key after the time in Retry-After.",
    ),
    "fingerprint_key_missing": Meaning(
        503,
        "A fingerprint key is missing",
        "This process does not have the key that the order was made with. Repeat the request after Retry-After.",
    ),
    "encryption_key_missing": Meaning(
        503,
        "An encryption key is missing",
        "This process does not have the key of what it has to read or write. Staff set REMIT_ENCRYPTION_KEYS.",
    ),
    "disk_full": Meaning(
        503, "PostgreSQL's disk is full", "Repeat the request with the same key after the time in Retry-After."
    ),
    "database_unavailable": Meaning(
        503, "PostgreSQL does not answer", "Repeat the request with the same key after the time in Retry-After."
    ),
}

# A code as the contract shows it: one of these, and more in later releases.
ProblemCode = Annotated[str, Field(json_schema_extra={"enum": sorted(PROBLEMS)})]

RETRY_AFTER_SECONDS = 2

# More do not help whoever reads them. Names and messages may repeat what a stranger sent.
MOST_FIELD_ERRORS = 20
LONGEST_FIELD_TEXT = 300

_UNREADABLE = "Send JSON in UTF-8, without deep nesting and without numbers of thousands of digits."
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")

_EXAMPLE_REQUEST_ID = "req_mfrggzdfmztwq2lknnwg23tpoa"


class FieldError(BaseModel):
    """A refused field."""

    field: str = Field(examples=["body.amount"])
    message: str = Field(examples=["Input should be greater than or equal to 1"])


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


def handle_problems(app: FastAPI) -> None:
    """Answer every error of this app with a problem; none shows a stack trace."""
    _handle_missing_keys(app)

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return error.response()

    @app.exception_handler(Unavailable)
    async def unavailable(_: Request, error: Unavailable) -> JSONResponse:
        return _unavailable_problem(error).response()

    @app.exception_handler(TemporalUnavailable)
    async def temporal_unavailable(_: Request, error: TemporalUnavailable) -> JSONResponse:  # noqa: ARG001 - it may name hosts
        return Problem("temporal_unavailable").response()

    @app.exception_handler(ActionRefused)
    async def refused(request: Request, error: ActionRefused) -> JSONResponse:
        await _record_refusal(request, error.code, str(error))
        return Problem(error.code, str(error)).response()

    @app.exception_handler(NotText)
    async def not_text(_: Request, error: NotText) -> JSONResponse:  # noqa: ARG001 - it names encodings
        return Problem("validation_failed", "Text must not contain a zero character.").response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return _validation_problem(error).response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = {
            400: "invalid_json",  # FastAPI's only 400: not UTF-8, nested too deep, or a number with too many digits
            401: "not_authenticated",
            403: "forbidden",
            404: "not_found",
            405: "method_not_allowed",
        }.get(error.status_code, "internal_error" if error.status_code >= 500 else "validation_failed")  # noqa: PLR2004
        headers = {"Allow": _allowed(request)} if code == "method_not_allowed" else error.headers
        return Problem(code, _UNREADABLE if code == "invalid_json" else None, headers=headers).response()

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - the server logs it
        return Problem("internal_error").response()


async def _record_refusal(request: Request, code: str, detail: str) -> None:
    """Put a request that would have changed something on the audit trail. The answer does not depend on that."""
    cause = CAUSE.get()
    if request.method in ("GET", "HEAD") or cause is None or cause.actor_id is None:
        return
    route = getattr(request.scope.get("route"), "operation_id", None) or "unknown"
    about = [text for text in request.path_params.values() if isinstance(text, str)]
    try:
        await request.app.state.remit.audit_records.record_refusal(
            f"request.{route.replace('.', '_')}", about[-1] if about else cause.actor_id, code, detail, cause
        )
    except Unavailable as error:
        log.warning("a refused request is not on the audit trail", code=code, error=" ".join(str(error).split()))


def _handle_missing_keys(app: FastAPI) -> None:
    @app.exception_handler(FingerprintKeyMissing)
    async def fingerprint_key_missing(_: Request, error: FingerprintKeyMissing) -> JSONResponse:
        log.error("%s", error)
        return Problem("fingerprint_key_missing").response()

    @app.exception_handler(EncryptionKeyMissing)
    async def encryption_key_missing(_: Request, error: EncryptionKeyMissing) -> JSONResponse:
        log.error("%s", error)
        return Problem("encryption_key_missing").response()


def _allowed(request: Request) -> str:
    """All methods of the request's path. Starlette alone would name those of one route."""

    def has(method: str) -> bool:
        scope = dict(request.scope) | {"method": method}
        return any(route.matches(dict(scope))[0] is Match.FULL for route in request.app.router.routes)

    methods = [method for method in _METHODS if has(method)]
    # Whatever can be read by GET can be asked for by HEAD.
    return ", ".join(sorted([*methods, "HEAD"] if "GET" in methods else methods))


def _unavailable_problem(error: Unavailable) -> Problem:
    """Its own text may name hosts and files."""
    if isinstance(error, AccountBusy):
        detail = f"Another transaction holds {error.account_id}. Repeat the request after the time in Retry-After."
        return Problem("account_busy", detail)
    if isinstance(error, RowHeld):
        return Problem("row_held")
    return Problem("disk_full" if isinstance(error, DiskFull) else "database_unavailable")


def _validation_problem(error: RequestValidationError) -> Problem:
    for found in error.errors():
        if found["type"] == "json_invalid":
            return Problem("invalid_json", f"{found.get('ctx', {}).get('error', 'Invalid JSON')}.")
        if found["type"] in ("model_attributes_type", "dict_type") and found["loc"] == ("body",):
            return Problem("validation_failed", "Send a JSON object.")
    fields = [
        FieldError(field=_shortened(".".join(str(part) for part in found["loc"])), message=_shortened(found["msg"]))
        for found in error.errors()[:MOST_FIELD_ERRORS]
    ]
    return Problem("validation_failed", f"{fields[0].field}: {fields[0].message}.", errors=fields)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_FIELD_TEXT else f"{text[:LONGEST_FIELD_TEXT]}…"
