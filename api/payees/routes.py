"""Payees: who is paid by an account number."""

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from fastapi import APIRouter

from api.auth.sessions import Caller, TransfersWrite
from api.http.fields import NumberIn
from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.payees.models import PayeeOut
from api.services import Remit, Services
from customers.payees.payee import NoSuchPayee, TooManyChecks
from ledger.account_numbers import AccountNumber, is_account_number
from ledger.ids import AccountId, CustomerId

router = APIRouter(prefix="/v1/payees", tags=["accounts"], route_class=CheckedRoute)


@router.get(
    "/{number}",
    operation_id="payees.get",
    summary="Check a payee",
    responses=problem_responses(
        "not_authenticated",
        "token_expired",
        "payee_not_found",
        "validation_failed",
        "too_many_payee_checks",
        "database_unavailable",
    ),
)
async def payee(number: NumberIn, session: TransfersWrite, remit: Remit) -> PayeeOut:
    """Shows enough of the name to see that it is the right person, before anything is paid.

    Spaces and small letters do not matter. Each customer can check a few numbers in 15 minutes.
    """
    with _problems():
        found = await remit.payees.check(session.customer.id, AccountNumber(number))
    return PayeeOut(number=found.number, masked_name=found.masked_name, currency=found.currency)


async def payee_account(remit: Services, session: Caller, named: str) -> AccountId:
    """The id of an account that a request names by its id or by its number.

    So the order, its fingerprint and its key know the id only: one request by number and by id is the same request.
    """
    if not is_account_number(named):
        return AccountId(named)
    with _problems():
        return await remit.payees.account_id(session.customer.id, AccountNumber(named))


async def payee_accounts(
    remit: Services, owner_id: CustomerId, numbers: Collection[AccountNumber]
) -> Mapping[AccountNumber, AccountId]:
    """The same for many numbers at once. One that is nobody's is left out."""
    with _problems():
        return await remit.payees.account_ids(owner_id, numbers)


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except NoSuchPayee as error:
        raise Problem("payee_not_found") from error
    except TooManyChecks as error:
        seconds = str(math.ceil(error.wait.total_seconds()))
        raise Problem("too_many_payee_checks", headers={"Retry-After": seconds}) from error
