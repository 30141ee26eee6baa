"""The contract over HTTP: what problem types mean, always; the OpenAPI document and a page to try it out, if wanted.

The page comes from an installed package and loads nothing from elsewhere.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Request, Response

from api.contract.document import TITLE, openapi_document
from api.http.problems import PROBLEMS, TYPES_PATH, Problem, ProblemTypeOut, problem_responses
from api.http.route import CheckedRoute

router = APIRouter(tags=["problems"], route_class=CheckedRoute)
pages = APIRouter(include_in_schema=False, route_class=CheckedRoute)

# Scripts, styles and requests of this server only. Swagger UI sets styles of elements, which need 'unsafe-inline'.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE_HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}

# Relative, so that the page also works behind a proxy that adds a prefix.
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{TITLE}</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null});
"""

_ASSETS: Mapping[str, str] = {
    "start.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}


@router.get(
    TYPES_PATH + "{code}",
    operation_id="problems.get",
    summary="Describe a problem type",
    responses=problem_responses("not_found"),
)
async def problem_type(
    code: Annotated[str, Path(description="The `code` of a problem", examples=["validation_failed"])],
) -> ProblemTypeOut:
    """Where the `type` of a problem leads to."""
    meaning = PROBLEMS.get(code)
    if meaning is None:
        raise Problem("not_found", "There is no such problem type.")
    return ProblemTypeOut.of(code, meaning)


@pages.get("/openapi.json")
async def document(request: Request) -> dict[str, Any]:
    """The OpenAPI document."""
    app: FastAPI = request.app
    if app.openapi_schema is None:
        app.openapi_schema = openapi_document(app)
    return app.openapi_schema


@pages.get("/docs")
async def page() -> Response:
    """The document as a page."""
    return Response(_PAGE, media_type="text/html", headers=_PAGE_HEADERS)


@pages.get("/docs/{name}")
async def asset(name: str) -> Response:
    """What the page loads."""
    if name not in _ASSETS:
        raise Problem("not_found")
    # Kept by browsers, and checked by its ETag.
    return Response(_content(name), media_type=_ASSETS[name], headers={"Cache-Control": "no-cache"})


@cache
def _content(name: str) -> bytes:
    if name == "start.js":
        return _START.encode()
    return files("fastapi_offline").joinpath("static", name).read_bytes()
