"""The OpenAPI document: FastAPI's own, with what holds for all operations and with what FastAPI cannot know."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.contract.examples import example_for, problem_examples
from api.contract.id_patterns import describe_ids
from api.contract.response_headers import HEADERS, describe_headers
from api.http.problems import MEDIA_TYPE, ProblemDetails, problem_responses

TITLE = "Remit"
VERSION = "1"
SUMMARY = "Durable money transfers on Temporal and PostgreSQL"

DESCRIPTION = """
Every request that moves money carries an `Idempotency-Key`: a repeat with the same key and body is safe, and the money
moves once.

Amounts are integers in the currency's minor unit. Errors are `application/problem+json` (RFC 9457) with a stable
`code`, and a `type` that leads to its description. A refused transfer is no error but an outcome, with a `failure`.

Every answer has a `Request-Id`. Unknown fields and unknown query parameters are refused. Lists have pages: send
`next_cursor` as `cursor` until it is null. Whatever can be read by GET can be asked for by HEAD.
"""

SERVERS = [
    {"url": "/", "description": "The server that gave you this document"},
    {"url": "http://127.0.0.1:8000", "description": "The embedded stack, with its default port"},
]

TAGS = [
    {"name": "transfers", "description": "Move money, follow it, reverse it, and prove how it ended."},
    {"name": "batches", "description": "Many transfers in one request, each with its own outcome."},
    {"name": "accounts", "description": "Accounts with their entries; deposits and withdrawals of the sandbox rail."},
    {"name": "customers", "description": "The signed-in customer's identity, and the documents that prove it."},
    {"name": "disputes", "description": "A payer objects to a completed transfer; both parties say what happened."},
    {"name": "standing orders", "description": "Transfers at a date, or again and again."},
    {"name": "notifications", "description": "What the signed-in customer is told, and by which channels."},
    {"name": "events", "description": "What happened, in order: to follow without missing or repeating anything."},
    {"name": "webhooks", "description": "Endpoints of integrators, which get events by HTTP as they happen."},
    {"name": "auth", "description": "Register, sign in and sign out."},
    {"name": "admin", "description": "For staff. Each change names its reason, and is recorded with who made it."},
    {"name": "health", "description": "For load balancers."},
    {"name": "problems", "description": "What the `type` of a problem leads to."},
]

_JSON = "application/json"
_KEY = "Idempotency-Key"
_FIRST_ERROR = 400


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The contract of this app's routes. Equal routes give equal documents."""
    document = get_openapi(
        title=TITLE,
        version=VERSION,
        summary=SUMMARY,
        description=DESCRIPTION,
        license_info={"name": "Apache 2.0", "identifier": "Apache-2.0"},
        routes=app.routes,
        tags=TAGS,
        servers=SERVERS,
    )
    components = document["components"]
    components["schemas"] |= _problem_schemas()
    components["examples"] = problem_examples()
    components["headers"] = HEADERS
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _describe_parameters(operation)
            _add_shared_answers(path, method, operation)
            describe_headers(path, method, operation)
    describe_ids(document)
    for path in document["paths"].values():
        for operation in path.values():
            _add_examples(operation, components["schemas"])
    components["schemas"] = dict(sorted(components["schemas"].items()))
    whole: dict[str, Any] = _whole_numbers(document)
    return whole


def _problem_schemas() -> dict[str, Any]:
    described = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    parts: dict[str, Any] = described.pop("$defs")
    return parts | {"ProblemDetails": described}


def _describe_parameters(operation: dict[str, Any]) -> None:
    """A parameter that may be missing is never null, and a key that is missing is refused unless it is optional."""
    refusals = _codes(operation["responses"].get("400", {}))
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        given = [one for one in schema.pop("anyOf", ()) if one != {"type": "null"}]
        schema |= given[0] if len(given) == 1 else {"anyOf": given} if given else {}
        for repeated in ("title", "description"):
            schema.pop(repeated, None)
        if parameter["name"] == _KEY:
            parameter["required"] = "idempotency_key_missing" in refusals
            schema |= {"minLength": 1, "pattern": r"^[\x20-\x7e]+$"}


def _add_shared_answers(path: str, method: str, operation: dict[str, Any]) -> None:
    """The problems that every operation of its kind can answer, and 304 for what is read."""
    codes = ["header_repeated", "validation_failed", "internal_error"]
    if path.startswith("/v1/"):
        codes.append("rate_limited")
    if method != "get":
        codes.append("body_too_large")
    if "security" in operation:
        keyless = path.startswith(("/v1/admin", "/v1/auth")) and path != "/v1/auth/me"
        codes.append("api_key_refused" if keyless else "scope_missing")
        if method != "get":
            codes.append("csrf_refused")
    if "requestBody" in operation:
        codes += ["invalid_json", "content_type_unsupported"]
    own = {status: answer for status, answer in operation["responses"].items() if int(status) < _FIRST_ERROR}
    stated = [code for answer in operation["responses"].values() for code in _codes(answer)]
    problems = problem_responses(*dict.fromkeys([*stated, *codes]))
    if method == "get":
        own["304"] = {"description": "Unchanged since the answer whose ETag was sent in `If-None-Match`."}
    operation["responses"] = dict(sorted((own | {str(status): answer for status, answer in problems.items()}).items()))


def _codes(answer: dict[str, Any]) -> list[str]:
    """The problems that an answer may be."""
    return list(answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", ()))


def _add_examples(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        if status.startswith("2") and _JSON in answer.get("content", {}):
            content = answer["content"][_JSON]
            content["example"] = _standing(example_for(content["schema"], schemas), status)
    body = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    if body is not None:
        body["example"] = example_for(body["schema"], schemas)


def _standing(example: Any, status: str) -> Any:
    """The example of a transfer under way, where the status says so."""
    if status == "202" and "completed_at" in example:
        return example | {"state": "running" if "accounts_done" in example else "initiated", "completed_at": None}
    return example


def _whole_numbers(described: Any) -> Any:
    """The same with integers as integers: FastAPI writes limits as numbers with a point."""
    match described:
        case dict():
            return {name: _whole_numbers(value) for name, value in described.items()}
        case list():
            return [_whole_numbers(value) for value in described]
        case float() if described.is_integer():
            return int(described)
        case _:
            return described
