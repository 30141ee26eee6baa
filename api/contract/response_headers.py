"""The headers of answers, as the contract describes them."""

from typing import Any

_REF = "#/components/headers/"

HEADERS: dict[str, Any] = {
    "Accept": {
        "description": "The kind of content that a body may have.",
        "schema": {"type": "string"},
        "example": "application/json",
    },
    "ETag": {
        "description": "Names this state of the answer, for `If-None-Match`.",
        "schema": {"type": "string"},
        "example": '"5f2c8d0e9a7b4c1d6e3f8a90"',
    },
    "Idempotent-Replayed": {
        "description": "An earlier request with this key was answered so, and nothing was done again.",
        "schema": {"type": "string", "enum": ["true"]},
        "example": "true",
    },
    "Location": {
        "description": "Where to read what was made.",
        "schema": {"type": "string", "format": "uri-reference"},
        "example": "/v1/transfers/trf_iuwbh4hkzdez5j5ag3ea6cau2u",
    },
    "Preference-Applied": {
        "description": "The wait that was applied, where the request stated one in `Prefer`.",
        "schema": {"type": "string", "pattern": "^wait=[0-9]{1,2}$"},
        "example": "wait=10",
    },
    "RateLimit": {
        "description": "Of a policy: the requests that are left (`r`) and the seconds until its next window (`t`).",
        "schema": {"type": "string"},
        "example": '"general";r=499;t=840',
    },
    "RateLimit-Policy": {
        "description": "The policy: its requests (`q`) in a window of so many seconds (`w`).",
        "schema": {"type": "string"},
        "example": '"general";q=500;w=900',
    },
    "Request-Id": {
        "description": "The id that the request was sent with, or a new one. Log lines and problems hold it.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~:+/=@-]{1,128}$"},
        "example": "req_mfrggzdfmztwq2lknnwg23tpoa",
    },
    "Retry-After": {
        "description": "The seconds after which to ask again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 2,
    },
    "WWW-Authenticate": {
        "description": "How to sign in.",
        "schema": {"type": "string"},
        "example": "Bearer",
    },
}

# For the answer of a route that says where to read what it made.
LOCATED: dict[str, Any] = {"headers": {"Location": {"$ref": f"{_REF}Location"}}}

CREATED: dict[int | str, dict[str, Any]] = {201: LOCATED}

_OF_STATUS = {
    "202": ("Retry-After",),
    "304": ("ETag",),
    "401": ("WWW-Authenticate",),
    "415": ("Accept",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}


def describe_headers(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add the headers of each answer of an operation, by its status and by what the request may say."""
    taken = {parameter["name"] for parameter in operation.get("parameters", ())}
    for status, answer in operation["responses"].items():
        names = {"Request-Id", *_OF_STATUS.get(status, ())}
        if path.startswith("/v1/"):
            names |= {"RateLimit", "RateLimit-Policy"}
        if status == "200" and method == "get":
            names.add("ETag")
        if status.startswith("2") and "Idempotency-Key" in taken:
            names.add("Idempotent-Replayed")
        if status.startswith("2") and "Prefer" in taken:
            names.add("Preference-Applied")
        described = {name: {"$ref": f"{_REF}{name}"} for name in names} | answer.get("headers", {})
        answer["headers"] = dict(sorted(described.items()))
