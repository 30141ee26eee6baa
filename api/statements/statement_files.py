"""Statements as files: read in parts and rendered beside the event loop, so that a long one holds nobody up."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from api.services import Services
from statements.postgres.account_statements import LINES_AT_ONCE, AccountStatements, progress_of
from statements.renderings.formats import rendering_of
from statements.renderings.statement_format import MEDIA_TYPES, Rendering, StatementFormat
from statements.statement import AccountStatement, StatementLine, StatementNotReady

# Renderings compute. So many at once leave the process time for everything else.
_AT_ONCE = asyncio.Semaphore(2)

_EXAMPLES: dict[StatementFormat, str | dict[str, Any]] = {
    StatementFormat.CSV: "account_id,statement,record,version,date,…",
    StatementFormat.JSON: {"statement": {"number": 3, "opening": 500_000, "closing": 374_500}, "entries": []},
    StatementFormat.PDF: "%PDF-1.4 …",
    StatementFormat.XML: '<?xml version="1.0" encoding="UTF-8"?><Document>…</Document>',
}


def file_responses(format_: StatementFormat) -> dict[int | str, dict[str, Any]]:
    """How the contract describes the file."""
    schema = {"type": "object"} if format_ is StatementFormat.JSON else {"type": "string", "format": "binary"}
    content = {MEDIA_TYPES[format_].partition(";")[0]: {"schema": schema, "example": _EXAMPLES[format_]}}
    return {200: {"description": "The same bytes whenever it is asked for", "content": content}}


async def file_of(remit: Services, request: Request, statement: AccountStatement, format_: StatementFormat) -> Response:
    """The file. The caller has checked who asks. Raises `StatementNotReady` and `StatementTooLong`."""
    if statement.ready_at is None:
        raise StatementNotReady(progress_of(statement))
    rendering = rendering_of(statement, format_)
    name = f"statement-{statement.account_number}-{statement.number}.{format_}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if request.scope.get("asked_by") == "HEAD":
        return Response(None, headers=headers, media_type=MEDIA_TYPES[format_])
    parts = _parts(remit.statements, statement, rendering)
    if statement.lines <= LINES_AT_ONCE:
        content = b"".join([part async for part in parts])
        return Response(content, headers=headers, media_type=MEDIA_TYPES[format_])
    # Where PostgreSQL does not answer, the problem is answered before the file begins.
    first = await anext(parts)
    return StreamingResponse(_with(first, parts), headers=headers, media_type=MEDIA_TYPES[format_])


async def _parts(
    statements: AccountStatements, statement: AccountStatement, rendering: Rendering
) -> AsyncIterator[bytes]:
    lines = statements.lines(statement)
    batch = await anext(lines, None)
    part = await _rendered(rendering, batch, begins=True)
    yield part
    async for batch in lines:
        yield await _rendered(rendering, batch)
    async with _AT_ONCE:
        yield await asyncio.to_thread(rendering.end)


async def _rendered(rendering: Rendering, batch: list[StatementLine] | None, *, begins: bool = False) -> bytes:
    def render() -> bytes:
        return (rendering.begin() if begins else b"") + rendering.add(batch or [])

    async with _AT_ONCE:
        return await asyncio.to_thread(render)


async def _with(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in others:
        if part:
            yield part
