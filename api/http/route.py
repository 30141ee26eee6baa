"""How every route reads its request: JSON without ambiguities, and no query parameter that it does not know.

And how it answers: a customer gets only what is their own.
"""

import json
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.http.problems import FieldError, Problem
from api.ownership.check import checked

JSON = "application/json"

# An answer to a stranger stays short.
MOST_ERRORS = 20
MOST_OF_A_NAME = 100

# More than any number of this API has, and than a float can have.
LARGEST_EXPONENT = 400


class CheckedRoute(APIRoute):
    """Refuses what two readers could read in two ways, before anything else looks at the request.

    Where a customer asks, it checks last whom the answer belongs to.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, checked(endpoint), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, behind the checks."""
        handle = super().get_route_handler()
        known = frozenset(_query_names(self.dependant))
        takes_a_body = self.body_field is not None

        async def read_strictly(request: Request) -> Response:
            if request.scope["query_string"]:
                _check_query(request, known)
            if takes_a_body:
                request = _JsonRequest(request.scope, request.receive)
                if await request.body() and not _is_json(request.headers.get("content-type", "")):
                    raise Problem("content_type_unsupported", headers={"Accept": JSON})
            return await handle(request)

        return read_strictly


class _JsonRequest(Request):
    async def json(self) -> Any:
        return read_json(await self.body())


def read_json(body: bytes) -> Any:
    """Strict JSON in UTF-8: no name twice in an object, no NaN. A number with a point is exact, as a `Decimal`.

    Raises `json.JSONDecodeError`, or another `ValueError` for bytes that are no UTF-8.
    """
    return json.loads(body.decode(), object_pairs_hook=_object, parse_float=_number, parse_constant=_refuse_constant)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise json.JSONDecodeError("An object holds one name twice", "", 0)
    return found


def _number(text: str) -> Decimal:
    number = Decimal(text)
    # As an integer or a fraction, 1e999999999 would fill the memory.
    if abs(number.adjusted()) > LARGEST_EXPONENT:
        raise json.JSONDecodeError("A number is too large or too small", "", 0)
    return number


def _refuse_constant(name: str) -> None:
    raise json.JSONDecodeError(f"JSON has no {name}", "", 0)


@lru_cache(maxsize=64)
def _is_json(content_type: str) -> bool:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        return False
    stated = [parameter.partition("=") for parameter in parameters]
    return all(value.strip('"') in ("utf-8", "utf8") for name, _, value in stated if name == "charset")


def _query_names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from annotation.model_fields
        else:
            yield field.alias
    for needed in dependant.dependencies:
        yield from _query_names(needed)


def _check_query(request: Request, known: frozenset[str]) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    wrong = (
        FieldError(field=f"query.{name[:MOST_OF_A_NAME]}", message=message)
        for name in dict.fromkeys(names)
        if (message := _objection_to(name, names, known))
    )
    if errors := list(islice(wrong, MOST_ERRORS)):
        raise Problem("validation_failed", f"{errors[0].field}: {errors[0].message}.", errors=errors)


def _objection_to(name: str, names: list[str], known: frozenset[str]) -> str | None:
    if name not in known:
        return "This parameter is not known here"
    return "This parameter may occur once" if names.count(name) > 1 else None
