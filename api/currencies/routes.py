"""The currencies that accounts can be opened in."""

from fastapi import APIRouter

from api.currencies.models import CurrenciesOut, CurrencyOut
from api.http.route import CheckedRoute
from api.services import Remit
from ledger.money import MINOR_UNIT_DIGITS, SYMBOLS

router = APIRouter(prefix="/v1/currencies", tags=["accounts"], route_class=CheckedRoute)


@router.get("", operation_id="currencies.list", summary="List the currencies")
async def currencies(remit: Remit) -> CurrenciesOut:
    """All currencies of ISO 4217 that are in circulation, by their codes. Needs no token.

    A registration that names no currency gets `default_currency`.
    """
    return CurrenciesOut(
        default_currency=remit.default_currency,
        items=[
            CurrencyOut(code=code, digits=digits, symbol=SYMBOLS.get(code))
            for code, digits in sorted(MINOR_UNIT_DIGITS.items())
        ],
    )
