"""Answers every error of an application with a problem, and puts refused changes on the audit trail."""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.http.problems import MOST_FIELD_ERRORS, FieldError, Problem
from api.temporal_connection import TemporalUnavailable
from database.connections import DiskFull, NotText, RowHeld, Unavailable
from database.encryption import EncryptionKeyMissing
from database.trail.cause import CAUSE
from ledger.fingerprints import FingerprintKeyMissing
from ledger.postgres.account_queue import AccountBusy
from ledger.refusals import ActionRefused

log = structlog.get_logger()

# Names and messages may repeat what a stranger sent.
LONGEST_FIELD_TEXT = 300

_UNREADABLE = "Send JSON in UTF-8, without deep nesting and without numbers of thousands of digits."
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


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
