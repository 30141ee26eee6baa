"""What the OpenAPI page promises of every route, and of those about reversals and disputes in particular."""

import warnings
from typing import Any

import httpx
import pytest

from api.app import create_app

OURS = ("reversals", "disputes")


@pytest.fixture
async def described(http: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await http.get("/openapi.json")).json())


def test_each_route_is_part_of_the_app_once() -> None:
    no_services: Any = None
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Duplicate Operation ID")
        assert create_app(no_services, docs=True).openapi()["paths"]


async def test_every_problem_is_documented_as_a_problem_with_examples(described: dict[str, Any]) -> None:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and not path.startswith(("/health", "/ready")):
                    assert answer["content"]["application/problem+json"]["examples"], (path, method, status)
                    assert "application/json" not in answer["content"], (path, method, status)


async def test_reversals_and_disputes_say_what_they_do_take_and_give(described: dict[str, Any]) -> None:
    operations = [
        operation
        for path, methods in described["paths"].items()
        for operation in methods.values()
        if any(word in path for word in OURS)
    ]
    assert len(operations) == 10
    assert all(operation["summary"] and operation["description"] for operation in operations)
    schemas = described["components"]["schemas"]
    for name in ("ReversalIn", "DisputeIn", "StatementIn", "DisputeDecisionIn"):
        assert schemas[name]["description"], name
        for field, schema in schemas[name]["properties"].items():
            assert schema.get("description") or any(one.get("description") for one in schema["anyOf"]), (name, field)
    for name in ("ReversalsOut", "DisputeOut", "DisputesOut", "StatementOut"):
        assert schemas[name]["description"], name
