"""The body of a new batch: JSON or CSV, checked as a whole. Every error names its line and has a code."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from fastapi import Request, Response
from pydantic import TypeAdapter, ValidationError
from starlette.types import Message, Scope

from api.auth.sessions import refuse_strangers
from api.batches.models import BatchItemIn
from api.http.middleware import MAX_BODY_BYTES
from api.http.problems import FieldError, Problem
from api.http.route import CheckedRoute
from api.payees.routes import payee_accounts
from api.services import Services
from batches.batch import MOST_ITEMS, NewBatchItem
from ledger.account_numbers import AccountNumber, is_account_number
from ledger.ids import AccountId, CustomerId

CSV = "text/csv"
COLUMNS = tuple(BatchItemIn.model_fields)
NEEDED = tuple(name for name, field in BatchItemIn.model_fields.items() if field.is_required())

# Longer numbers are no amounts, and take long to read. `int` would take the digits of other scripts, too.
_DIGITS = re.compile(r"[0-9]{1,20}")

# In place of a CSV's row that has more or fewer fields than the header: no item, so its line is named with the others.
RAGGED = "ragged"

# Of Pydantic's types of errors, those that are something else than an invalid value.
_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
}

_ITEMS = TypeAdapter(list[BatchItemIn])


class BatchRoute(CheckedRoute):
    """Reads a CSV as the JSON that says the same: the route, and the key of a repeat, see no difference.

    To parse megabytes takes long, and other requests wait meanwhile: those of a stranger are not parsed.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of other routes, behind the reading of a CSV."""
        handle = super().get_route_handler()

        async def read_csv_as_json(request: Request) -> Response:
            if request.method != "POST":
                return await handle(request)
            body = await request.body()
            if len(body) > MAX_BODY_BYTES:
                await refuse_strangers(request, request.app.state.remit)
            if _is_csv(request.headers.get("content-type", "")):
                return await handle(_with_json(request, _items_in(body)))
            return await handle(_with_body(request, request.scope, body))

        return read_csv_as_json


def _is_csv(content_type: str) -> bool:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    return kind == CSV and all(each.partition("=")[2].strip('"') in ("utf-8", "utf8", "present") for each in parameters)


def _items_in(body: bytes) -> list[object]:
    """The rows behind the header. An empty field is none. Raises a problem where it is no such CSV."""
    try:
        rows = csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        header = list(rows.fieldnames or ())
        unknown = [name for name in header if name not in COLUMNS]
        if unknown or len(set(header)) < len(header) or any(name not in header for name in NEEDED):
            raise Problem("validation_failed", f"The first line of the CSV must name the columns {', '.join(COLUMNS)}.")
        found: list[object] = []
        for row in rows:
            if len(found) > MOST_ITEMS:
                break  # one more than may be: the route says so
            is_ragged = None in row or None in row.values()
            found.append(
                RAGGED if is_ragged else {name: _value(name, text) for name, text in row.items() if text != ""}
            )
    except (UnicodeDecodeError, csv.Error) as error:
        raise Problem("validation_failed", f"The body is no CSV in UTF-8: {error}.") from error
    return found


def _value(name: str, text: str) -> object:
    return int(text) if name == "amount" and _DIGITS.fullmatch(text) else text


def _with_json(request: Request, items: list[object]) -> Request:
    mode = request.query_params.get("mode")
    body = json.dumps({"items": items} | ({"mode": mode} if mode is not None else {})).encode()
    others = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
    headers = [*others, (b"content-type", b"application/json")]
    return _with_body(request, dict(request.scope) | {"headers": headers}, body)


def _with_body(request: Request, scope: Scope, body: bytes) -> Request:
    """A request whose body can be read once more."""
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return await request.receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(scope, receive)


async def checked_items(remit: Services, owner_id: CustomerId, given: object) -> list[NewBatchItem]:
    """The items of a batch that is valid as a whole. Raises a problem with the line, field and code of each error."""
    read = _read(given)
    numbers = {AccountNumber(named) for each in read if is_account_number(named := each.destination_account_id)}
    by_number = await payee_accounts(remit, owner_id, numbers)
    nobodys = numbers - by_number.keys()
    items = [
        NewBatchItem(
            each.reference,
            each.source_account_id,
            by_number.get(AccountNumber(each.destination_account_id), AccountId(each.destination_account_id)),
            each.amount,
            each.currency,
            each.note,
        )
        for each in read
    ]
    own = await remit.batches.own_accounts(owner_id, sorted({item.source_account_id for item in items}))
    used = await remit.batches.used_references(items)
    times = Counter(item.reference for item in items)
    errors: list[FieldError] = []
    for line, item in enumerate(items, 1):
        if item.source_account_id not in own:
            errors.append(_error(line, "source_account_id", "account_not_found", "You have no such account"))
        if AccountNumber(item.destination_account_id) in nobodys:
            errors.append(_error(line, "destination_account_id", "payee_not_found", "No account has this number"))
        if item.source_account_id == item.destination_account_id:
            errors.append(_error(line, "destination_account_id", "same_account", "Source and destination are equal"))
        if times[item.reference] > 1:
            errors.append(_error(line, "reference", "reference_repeated", "Another item has this reference"))
        if (item.source_account_id, item.reference) in used and item.source_account_id in own:
            errors.append(_error(line, "reference", "transaction_id_reused", "A transfer has this reference already"))
    if errors:
        raise _invalid(errors)
    return items


def _read(given: object) -> list[BatchItemIn]:
    if not isinstance(given, list) or not given:
        raise Problem("validation_failed", "body.items: Send a list with at least one item.")
    if len(given) > MOST_ITEMS:
        raise Problem("batch_too_large")
    try:
        return _ITEMS.validate_python(given)
    except ValidationError as error:
        raise _invalid(list(_fields_of(error))) from error


def _fields_of(error: ValidationError) -> Iterator[FieldError]:
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        place, *rest = found["loc"]
        assert isinstance(place, int), "the list is a list"
        if rest:
            yield _error(place + 1, str(rest[0])[:100], _CODES.get(found["type"], "invalid"), found["msg"][:300])
        else:
            yield _error(place + 1, "", "invalid", "An item is an object, or a CSV's row with the header's fields")


def _error(line: int, field: str, code: str, message: str) -> FieldError:
    name = f"body.items.{line - 1}"
    return FieldError(field=f"{name}.{field}" if field else name, message=message, line=line, code=code)


def _invalid(errors: Sequence[FieldError]) -> Problem:
    first = errors[0]
    counted = "1 error" if len(errors) == 1 else f"{len(errors):,} errors"
    return Problem("batch_invalid", f"{counted}. Line {first.line}: {first.message}.", errors=errors)
