"""The pages for people, at `/app`: a client of this API, which knows nothing that the API does not tell everybody."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response, status
from fastapi.responses import RedirectResponse

from api.http.problems import Problem
from api.pages.built_pages import BuiltPages, PageFile

PATH = "/app"

# Scripts, requests and images of this server only. The components set styles, which need 'unsafe-inline'.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_HASHED = "public, max-age=31536000, immutable"

# Not checked for queries: an address of a page holds the filters of its list.
router = APIRouter(include_in_schema=False)

Encodings = Annotated[str, Header(alias="accept-encoding")]


@router.get("/")
async def start() -> Response:
    """Where people begin."""
    return RedirectResponse(PATH, status.HTTP_307_TEMPORARY_REDIRECT, {"Cache-Control": "no-cache"})


@router.get(PATH)
@router.get(PATH + "/{path:path}")
async def page(request: Request, path: str = "", accept_encoding: Encodings = "") -> Response:
    """A file by its path, and the index for every page. A file that an earlier build had is a 404, and no page."""
    pages: BuiltPages = request.app.state.pages
    found = pages.files.get(path)
    if found is None and path.startswith("assets/"):
        raise Problem("not_found")
    return _sent(found, accept_encoding) if found else _sent(pages.index, accept_encoding, _PAGE_HEADERS)


def _sent(file: PageFile, accept_encoding: str, headers: dict[str, str] | None = None) -> Response:
    kept = {"Cache-Control": _HASHED if file.hashed else "no-cache", "Vary": "Accept-Encoding"} | (headers or {})
    if "gzip" in accept_encoding and file.compressed is not None:
        return Response(file.compressed, media_type=file.media_type, headers=kept | {"Content-Encoding": "gzip"})
    return Response(file.content, media_type=file.media_type, headers=kept)
