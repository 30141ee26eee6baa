"""The OpenAPI document: whole, true, and the one that is committed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi.routing import APIWebSocketRoute, iter_route_contexts

from api.app import create_app
from api.batches.body import BatchRoute
from api.contract.document import TAGS
from api.http.problems import PROBLEMS
from api.http.route import CheckedRoute
from ledger.refusals import REFUSAL_CODES

COMMITTED = Path(__file__).resolve().parents[3] / "docs" / "openapi.json"
# Kinds of records and codes of refusals on the audit trail come from every noun.
OPEN_ENDED = ("EmailCode", "Currency", "AuditRecord")
WITHOUT_SIGNING_IN = (
    "/v1/auth/register",
    "/v1/auth/login",
    "/v1/auth/refresh",
    "/v1/auth/browser/",
    "/v1/auth/password-reset",
    "/v1/currencies",
    "/health",
    "/ready",
    "/problems/",
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The committed document; `test_pages.py` compares it with the one that is served."""
    return dict(json.loads(COMMITTED.read_text()))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def nodes(described: Any, where: str = "#") -> Iterator[tuple[str, Any]]:
    yield where, described
    if isinstance(described, dict):
        for name, value in described.items():
            yield from nodes(value, f"{where}/{name}")
    elif isinstance(described, list):
        for number, value in enumerate(described):
            yield from nodes(value, f"{where}/{number}")


def answers(operation: dict[str, Any], first_digit: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((status, answer) for status, answer in operation["responses"].items() if status[0] == first_digit)


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    references = {node["$ref"] for _, node in nodes(document) if isinstance(node, dict) and "$ref" in node}
    assert references
    for reference in references:
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in found, reference
            found = found[part]


def test_every_route_reads_its_request_strictly() -> None:
    no_services: Any = None
    app = create_app(no_services, docs=True)
    kinds = {type(each.original_route) for each in iter_route_contexts(app.routes)}
    assert kinds == {CheckedRoute, BatchRoute, APIWebSocketRoute}  # a socket has no request but its handshake


def test_operations_are_named_by_noun_and_verb_and_their_tags_are_described(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert [each for each in ids if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", each)] == []
    assert {"transfers.create", "admin.accounts.freeze", "auth.login"} <= set(ids)
    described = {tag["name"] for tag in TAGS if tag["description"]}
    assert {tag for _, _, operation in operations(document) for tag in operation["tags"]} == described
    for path, method, operation in operations(document):
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)


def test_a_key_is_required_where_its_absence_is_refused(document: dict[str, Any]) -> None:
    required = set()
    for path, method, operation in operations(document):
        codes = {code for _, answer in answers(operation, "4") for code in problem_codes(answer)}
        for parameter in operation.get("parameters", ()):
            if parameter["name"] == "Idempotency-Key":
                assert parameter["required"] == ("idempotency_key_missing" in codes), (method, path)
                if parameter["required"]:
                    required.add(operation["operationId"])
            assert {"type": "null"} not in parameter["schema"].get("anyOf", ()), (method, path, parameter["name"])
    assert {"transfers.create", "accounts.deposit", "accounts.withdraw", "transfers.reverse"} <= required


def problem_codes(answer: dict[str, Any]) -> set[str]:
    return set(answer.get("content", {}).get("application/problem+json", {}).get("examples", ()))


def test_every_problem_is_a_problem_with_an_example_that_fits_its_status(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for first_digit in "45":
            for status, answer in answers(operation, first_digit):
                assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
                assert answer["content"]["application/problem+json"]["schema"] == {
                    "$ref": "#/components/schemas/ProblemDetails"
                }
                for code in problem_codes(answer):
                    assert PROBLEMS[code].status == int(status), (method, path, code)


def test_each_operation_lists_the_problems_that_its_kind_can_meet(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        found = {code for status in "45" for _, answer in answers(operation, status) for code in problem_codes(answer)}
        expected = {"header_repeated", "validation_failed", "internal_error"}
        if method == "post":
            expected |= {"body_too_large"}
        if "requestBody" in operation:
            expected |= {"invalid_json", "content_type_unsupported"}
        if not path.startswith(WITHOUT_SIGNING_IN):
            expected |= {"not_authenticated", "token_expired", "database_unavailable"}
            assert operation["security"], (method, path)
        assert expected - found == set(), (method, path)


def test_every_success_has_an_example_that_its_schema_accepts(document: dict[str, Any]) -> None:
    examined = 0
    for path, method, operation in operations(document):
        for status, answer in answers(operation, "2"):
            for content in answer.get("content", {}).values():
                accept(document, content["schema"], content["example"], (method, path, status))
                examined += 1
        for content in operation.get("requestBody", {}).get("content", {}).values():
            accept(document, content["schema"], content["example"], (method, path, "request"))
    assert examined > 30
    for code, example in document["components"]["examples"].items():
        accept(document, {"$ref": "#/components/schemas/ProblemDetails"}, example["value"], code)


def accept(document: dict[str, Any], schema: dict[str, Any], example: object, where: object) -> None:
    whole = schema | {"components": document["components"]}
    errors = [error.message for error in jsonschema.Draft202012Validator(whole).iter_errors(example)]
    assert errors == [], where


def test_every_answer_says_its_headers(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            headers, where = set(answer["headers"]), (method, path, status)
            assert "Request-Id" in headers, where
            assert ("ETag" in headers) == (method == "get" and status in ("200", "304")), where
            assert ("Retry-After" in headers) == (status in ("202", "429", "503")), where
            assert ("WWW-Authenticate" in headers) == (status == "401"), where
    created = document["paths"]["/v1/transfers"]["post"]["responses"]
    for status in ("201", "202"):
        assert {"Location", "Idempotent-Replayed", "Preference-Applied"} <= set(created[status]["headers"])


def test_ids_and_currencies_have_patterns_and_codes_are_enumerated(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            texts = [one for one in (described, *described.get("anyOf", ())) if one.get("type") == "string"]
            if field == "id" or field.endswith(("account_id", "owner_id", "customer_id", "dispute_id", "transfer_id")):
                assert [one for one in texts if "pattern" not in one] == [], (name, field)
            if field == "currency":
                assert [one["pattern"] for one in texts] == ["^[A-Z]{3}$"] * len(texts), (name, field)
            if field in ("code", "state", "kind", "status", "role") and not name.startswith(OPEN_ENDED):
                assert [one for one in texts if "enum" not in one] == [], (name, field)
    for path, method, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path" and parameter["name"].endswith("_id"):
                assert parameter["schema"]["pattern"], (method, path)
    assert document["components"]["schemas"]["FailureOut"]["properties"]["code"]["enum"] == list(REFUSAL_CODES)


def test_no_limit_is_a_number_with_a_point(document: dict[str, Any]) -> None:
    assert [where for where, node in nodes(document) if isinstance(node, float)] == []
    assert document["components"]["schemas"]["TransferIn"]["properties"]["amount"]["maximum"] == 2**53 - 1


def test_an_attempt_that_staff_begin_may_be_under_way(document: dict[str, Any]) -> None:
    found = document["paths"]["/v1/admin/transfers/{transfer_id}/retry"]["post"]["responses"]
    assert found["202"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/AnyTransferOut"}


def test_the_document_names_its_servers(document: dict[str, Any]) -> None:
    assert [server["url"] for server in document["servers"]] == ["/", "http://127.0.0.1:8000"]


def test_reversals_and_disputes_describe_each_field(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("ReversalIn", "DisputeIn", "StatementIn", "DisputeDecisionIn"):
        assert schemas[name]["description"], name
        for field, schema in schemas[name]["properties"].items():
            assert schema.get("description") or any(one.get("description") for one in schema["anyOf"]), (name, field)
    for name in ("ReversalsOut", "DisputeOut", "DisputesOut", "StatementOut"):
        assert schemas[name]["description"], name
