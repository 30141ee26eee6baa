"""Statements of a customer's accounts: make one, list them, and read one in each format."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response, status

from api.auth.sessions import AccountsRead, AccountsWrite, Caller
from api.contract.response_headers import CREATED
from api.http.fields import Cursor, PageSize
from api.http.paging import next_cursor
from api.http.problems import Problem, problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.ownership.check import check_is_for, sends_parts
from api.services import Remit, Services
from api.statements.models import AccountStatementIn, AccountStatementOut, AccountStatementsOut, location_of
from api.statements.statement_files import file_of, file_responses
from ledger.accounts import Account
from ledger.ids import AccountId
from ledger.money import MAX_AMOUNT_MINOR
from statements.renderings.statement_format import StatementFormat
from statements.statement import AccountStatement, NoSuchStatement, StatementKey

router = APIRouter(prefix="/v1/accounts/{account_id}/statements", tags=["accounts"], route_class=CheckedRoute)

_READING = ("not_authenticated", "token_expired", "account_not_found", "database_unavailable")
ONE = ("statement_not_found", "validation_failed")
FILE = (*ONE, "statement_not_ready", "entries_broken")

FIRST_YEAR = 1900
_YEARS = f"The period is not in the years {FIRST_YEAR} to 9999 of UTC."

_SUMMING: dict[int | str, dict[str, Any]] = {
    202: {"model": AccountStatementOut, "description": "A long one: a workflow adds its entries up"}
}

StatementNumber = Annotated[int, Path(ge=1, le=MAX_AMOUNT_MINOR, examples=[3])]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    operation_id="statements.create",
    summary="Make a statement",
    responses=CREATED
    | _SUMMING
    | problem_responses(
        *_READING, *KEYED, "invalid_json", "validation_failed", "statement_period_not_begun", "entries_broken"
    ),
)
async def create(
    account_id: AccountId,
    wanted: AccountStatementIn,
    session: AccountsWrite,
    remit: Remit,
    answers: KeptAnswers,
    response: Response,
) -> AccountStatementOut:
    """Over the entries of a period. A period that is not over ends now.

    What a statement says never changes. The closing of a period is the opening of the one that begins where it ends.
    The answer is 202 for more than 10,000 entries: read it at its `Location` until it is ready.
    """
    own = await _own_account(account_id, session, remit)
    try:
        begins_at, ends_at = wanted.span(remit.statements.terms.zones.of(own.currency))
    except (OverflowError, ValueError) as error:
        raise Problem("validation_failed", _YEARS) from error
    # The first moment that a date can have is for PostgreSQL before all time, and has no day in most zones.
    if begins_at.year < FIRST_YEAR:
        raise Problem("validation_failed", _YEARS)
    if begins_at >= ends_at:
        raise Problem("validation_failed", "body.to: The period must end after it begins.")
    keep = answers.keep(AccountStatementOut.of, _status_of, location_of)
    made = await remit.statements.make(account_id, begins_at, ends_at, owner_id=session.customer.id, keep=keep)
    if made is None:
        raise Problem("account_not_found")
    if made.ready_at is None:
        await remit.temporal.start_statement(made.key)
    response.status_code = _status_of(made)
    response.headers["Location"] = location_of(made)
    return AccountStatementOut.of(made)


@router.get(
    "",
    operation_id="statements.list",
    summary="List an account's statements",
    responses=problem_responses(*_READING, "cursor_invalid", "validation_failed"),
)
async def statements(
    account_id: AccountId, session: AccountsRead, remit: Remit, limit: PageSize = 20, cursor: Cursor = None
) -> AccountStatementsOut:
    """Newest first: those of each month, which are made by themselves, and those that were asked for."""
    return await statements_page(remit, (await _own_account(account_id, session, remit)).id, limit, cursor)


def _file_route(format_: StatementFormat, what: str, *problems: str) -> None:
    @router.get(
        f"/{{number}}.{format_}",
        operation_id=f"statements.{format_}",
        summary=f"Read a statement as {what}",
        response_class=Response,
        responses=problem_responses(*_READING, *FILE, *problems) | file_responses(format_),
    )
    @sends_parts
    async def file(
        account_id: AccountId, number: StatementNumber, request: Request, session: AccountsRead, remit: Remit
    ) -> Response:
        """The file is the same whenever it is read."""
        return await file_of(remit, request, await _own(account_id, number, session, remit), format_)


_file_route(StatementFormat.CSV, "CSV")
_file_route(StatementFormat.JSON, "JSON")
_file_route(StatementFormat.PDF, "PDF", "statement_too_long")
_file_route(StatementFormat.XML, "ISO 20022 camt.053")


@router.get(
    "/{number}",
    operation_id="statements.get",
    summary="Get a statement",
    responses=problem_responses(*_READING, *ONE),
)
async def statement(
    account_id: AccountId, number: StatementNumber, session: AccountsRead, remit: Remit
) -> AccountStatementOut:
    """Its sums, without its entries, and how far it has come."""
    return AccountStatementOut.of(await _own(account_id, number, session, remit))


async def statements_page(
    remit: Services, account_id: AccountId, limit: int, cursor: str | None
) -> AccountStatementsOut:
    """A page of an account's statements. The caller has checked that they may be read."""
    of_list = f"statements of {account_id}"
    below = MAX_AMOUNT_MINOR if cursor is None else int(remit.cursors.read(of_list, cursor)[0])
    page = await remit.statements.of_account(account_id, below, limit)
    return AccountStatementsOut(
        items=[AccountStatementOut.of(each) for each in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign(of_list, last.number)),
    )


async def found_statement(remit: Services, account_id: AccountId, number: int) -> AccountStatement:
    """Any account's statement. Raises `NoSuchStatement`."""
    key = StatementKey(account_id, number)
    found = await remit.statements.find(key)
    if found is None:
        raise NoSuchStatement(key)
    return found


def _status_of(made: AccountStatement) -> int:
    return status.HTTP_202_ACCEPTED if made.ready_at is None else status.HTTP_201_CREATED


async def _own(account_id: AccountId, number: int, session: Caller, remit: Services) -> AccountStatement:
    await _own_account(account_id, session, remit)
    found = await found_statement(remit, account_id, number)
    check_is_for(session, AccountStatementOut.of(found))
    return found


async def _own_account(account_id: AccountId, session: Caller, remit: Services) -> Account:
    found = await remit.account_reads.own(session.customer.id, account_id)
    if found is None:
        raise Problem("account_not_found")
    return found
