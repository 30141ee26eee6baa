"""An example of every answer, put together from the examples of its fields."""

from typing import Any

from api.http.problems import PROBLEMS, example_of

_MOMENT = "2026-11-21T09:30:00.000000Z"

# Of several values, the one that a first reader expects.
_USUAL = ("completed", "active", "customer", "transfer", "debit")

_BY_NAME: dict[str, object] = {
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.mwiDnq8rTp5Oqz3g",
    "amount": 125_500,
    "balance": 374_500,
    "balance_before": 500_000,
    "balance_after": 374_500,
    "body": "You sent $1,255.00.",
    "currency": "USD",
    "email": "ada@example.com",
    "full_name": "Ada Obi",
    "head_hash": "9f" * 32,
    "idempotency_key": "3f0c5a6e-pay-rent-november",
    "next_cursor": None,
    "subject": "acc_k5qd4ahyfpuxzmo2c3r7wn6tbe",
    "workflow_id": "transfer/cus_gezdgnbvgy3tqojqgezdgnbvgy/3f0c5a6e-pay-rent-november",
    "temporal_url": None,
    "updated_at": _MOMENT,
    "completed_at": _MOMENT,
}


def problem_examples() -> dict[str, Any]:
    """One example for each code, which all operations share."""
    return {code: {"summary": meaning.title, "value": example_of(code)} for code, meaning in PROBLEMS.items()}


def example_for(schema: dict[str, Any], schemas: dict[str, Any], name: str = "") -> Any:
    """A value of this schema. A field's own example comes first, then that of its name, then that of its type.

    Null for a field that may be null and has no example.
    """
    for stated in ("examples", "const", "default"):
        if stated in schema:
            return schema[stated][0] if stated == "examples" else schema[stated]
    if "$ref" in schema:
        return example_for(schemas[schema["$ref"].rpartition("/")[2]], schemas, name)
    if "enum" in schema:
        return next((value for value in _USUAL if value in schema["enum"]), schema["enum"][0])
    if name in _BY_NAME:
        return _BY_NAME[name]
    if "anyOf" in schema:
        first = schema["anyOf"][0]
        may_be_null = {"type": "null"} in schema["anyOf"]
        return None if may_be_null and "examples" not in first else example_for(first, schemas, name)
    return _example_of_type(schema, schemas, name)


def _example_of_type(schema: dict[str, Any], schemas: dict[str, Any], name: str) -> Any:
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {field: example_for(described, schemas, field) for field, described in properties.items()}
        case "array":
            return [example_for(schema["items"], schemas, name)]
        case "integer":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "string" if schema.get("format") == "date-time":
            return _MOMENT
        case _:
            return "text"
