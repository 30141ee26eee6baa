"""No customer's route goes round the second wall: the application does not start with one that does."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api import app
from api.auth.sessions import AccountsRead, current_caller
from api.http.route import CheckedRoute
from api.ownership.check import NotYours, check_is_for
from api.ownership.owned import Owned, OwnedPage, Ownerless, Reader
from api.staff.authorization import _staff
from ledger.ids import CustomerId

# Answers of customers' routes that name no owner, each with the reason.
WITHOUT_OWNER = {
    "PayeeOut": "whoever pays by a number sees the masked name of its holder",
    "GraphqlOut": "each resolver checks its own part",
    "NotificationSettingsOut": "yes or no to each type, and nothing else",
    "ReadMarksOut": "two counts",
    "SecondFactorOut": "a secret that was made for this answer",
    "RecoveryCodesOut": "codes that were made for this answer",
}
# Without an answer, or about the request alone.
NOTHING = {None}


def _routes(router: APIRouter) -> Iterator[Any]:
    for route in router.routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from _routes(included)


def _calls(dependant: Dependant) -> Iterator[object]:
    for needed in dependant.dependencies:
        yield needed.call
        yield from _calls(needed)


def _of_customers() -> list[Any]:
    """The routes that know who calls, and are not for staff alone."""
    found = [(route, set(_calls(route.dependant))) for route in _routes(app._routed().router)]  # noqa: SLF001
    return [route for route, calls in found if current_caller in calls and _staff not in calls]


def test_every_route_that_knows_its_caller_checks_its_answer() -> None:
    routes = _of_customers()
    assert len(routes) > 40
    unchecked = {route.path for route in routes if not getattr(route.endpoint, "is_checked", False)}
    assert unchecked == set()


def test_an_answer_without_an_owner_has_its_reason() -> None:
    models = {route.response_model for route in _of_customers()} - NOTHING
    assert {model.__name__ for model in models if issubclass(model, Ownerless)} == WITHOUT_OWNER.keys()


class Plain(BaseModel):
    id: str


class PlainPage(OwnedPage):
    items: list[Plain]


@pytest.mark.parametrize("answer", [Plain, PlainPage, JSONResponse, dict[str, str], list[Owned], Any])
def test_a_route_whose_answer_names_no_owner_cannot_be_made(answer: Any) -> None:
    async def read(session: AccountsRead) -> Any: ...

    read.__annotations__["return"] = answer
    router = APIRouter(route_class=CheckedRoute)
    with pytest.raises(TypeError, match="make it an Owned"):
        router.get("/read")(read)


class Me(Reader):
    def __init__(self, reader_id: str, *, is_staff: bool = False) -> None:
        self._id, self._is_staff = CustomerId(reader_id), is_staff

    @property
    def reader_id(self) -> CustomerId:
        return self._id

    @property
    def is_staff(self) -> bool:
        return self._is_staff


class Thing(Owned):
    pass


class Things(OwnedPage):
    items: list[Thing]


def test_an_answer_that_names_nobody_is_for_nobody() -> None:
    for answer in (Thing(), Thing().owned_by(None), Thing().owned_by(CustomerId("cus_other")), Things(items=[Thing()])):
        for me in (Me("cus_me"), Me("cus_me", is_staff=True)):
            with pytest.raises(NotYours):
                check_is_for(me, answer)


def test_staff_get_what_is_shown_to_staff_and_customers_do_not() -> None:
    answer = Thing().owned_by(CustomerId("cus_other")).shown_to_staff()
    check_is_for(Me("cus_me", is_staff=True), answer)
    with pytest.raises(NotYours):
        check_is_for(Me("cus_me"), answer)


def test_one_item_of_another_withholds_the_whole_page() -> None:
    mine, other = Thing().owned_by(CustomerId("cus_me")), Thing().owned_by(CustomerId("cus_other"))
    check_is_for(Me("cus_me"), Things(items=[mine, mine]))
    with pytest.raises(NotYours):
        check_is_for(Me("cus_me"), Things(items=[mine, other]))
