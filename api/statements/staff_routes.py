"""Any account's statements, for staff: as its owner reads them."""

from fastapi import APIRouter, Request, Response

from api.http.fields import Cursor, PageSize
from api.http.problems import problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import READING, Staff
from api.statements.models import AccountStatementOut, AccountStatementsOut
from api.statements.routes import FILE, ONE, StatementNumber, found_statement, statements_page
from api.statements.statement_files import file_of, file_responses
from ledger.ids import AccountId
from staff.account_actions import NoSuchAccount
from statements.renderings.statement_format import StatementFormat

router = APIRouter(prefix="/v1/admin/accounts/{account_id}/statements", tags=["admin"], route_class=CheckedRoute)


@router.get(
    "",
    operation_id="admin.statements.list",
    summary="List any account's statements",
    responses=problem_responses(*READING, "account_not_found", "cursor_invalid", "validation_failed"),
)
async def statements(
    account_id: AccountId, _: Staff, remit: Remit, limit: PageSize = 20, cursor: Cursor = None
) -> AccountStatementsOut:
    """Newest first, with the same contents as for its owner."""
    if await remit.account_reads.find(account_id) is None:
        raise NoSuchAccount(account_id)
    return await statements_page(remit, account_id, limit, cursor)


def _file_route(format_: StatementFormat, what: str, *problems: str) -> None:
    @router.get(
        f"/{{number}}.{format_}",
        operation_id=f"admin.statements.{format_}",
        summary=f"Read any account's statement as {what}",
        response_class=Response,
        responses=problem_responses(*READING, *FILE, *problems) | file_responses(format_),
    )
    async def file(
        account_id: AccountId, number: StatementNumber, request: Request, _: Staff, remit: Remit
    ) -> Response:
        """The same bytes as for its owner."""
        return await file_of(remit, request, await found_statement(remit, account_id, number), format_)


_file_route(StatementFormat.CSV, "CSV")
_file_route(StatementFormat.JSON, "JSON")
_file_route(StatementFormat.PDF, "PDF", "statement_too_long")
_file_route(StatementFormat.XML, "ISO 20022 camt.053")


@router.get(
    "/{number}",
    operation_id="admin.statements.get",
    summary="Get any account's statement",
    responses=problem_responses(*READING, *ONE),
)
async def statement(account_id: AccountId, number: StatementNumber, _: Staff, remit: Remit) -> AccountStatementOut:
    """Its sums, without its entries, and how far it has come."""
    return AccountStatementOut.of(await found_statement(remit, account_id, number))
