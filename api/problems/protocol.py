"""What is wrong with a request, whatever it asks for: its bytes, headers, path, fields and keys."""

from collections.abc import Mapping

from api.problems.codes import Meaning

PROTOCOL: Mapping[str, Meaning] = {
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
    "not_found": Meaning(404, "Not found", "No such path."),
    "method_not_allowed": Meaning(405, "Method not allowed", "This path does not support this method."),
    "request_too_slow": Meaning(
        408,
        "The request arrives too slowly",
        "Send the headers within 10 seconds, and then the body within 10 seconds.",
    ),
    "body_too_large": Meaning(413, "The body is too large", "Send at most 65,536 bytes."),
    "uri_too_long": Meaning(414, "The URL is too long", "Send a path and query of at most 8,192 bytes."),
    "content_type_unsupported": Meaning(
        415, "The body is not declared as JSON", "Send JSON in UTF-8, with `Content-Type: application/json`."
    ),
    "validation_failed": Meaning(422, "The request is not valid", "See errors for the fields."),
    "idempotency_key_reused": Meaning(
        422,
        "The Idempotency-Key belongs to another request",
        "What the first request made is unchanged. Use a new key.",
    ),
    "rate_limited": Meaning(429, "Too many requests", "Wait for the seconds in Retry-After. Then a new window begins."),
    "headers_too_large": Meaning(
        431, "The headers are too large", "Send at most 8,192 bytes a header, and 16,384 bytes of them all."
    ),
}
