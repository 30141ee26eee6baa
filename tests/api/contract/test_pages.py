"""What the API serves of its contract: problem types, the document, and a page that needs no internet."""

import json
import re
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.http.problems import PROBLEMS
from settings import Settings
from tests.api.contract.test_document import COMMITTED


class _Loaded(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.inline = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.urls += [url for name in ("src", "href") if (url := found.get(name))]
        self.inline |= tag == "style" or (tag == "script" and "src" not in found)


@asynccontextmanager
async def serving(*, docs: bool) -> AsyncIterator[httpx.AsyncClient]:
    """The application without services: nothing here asks PostgreSQL or Temporal."""
    no_services: Any = None
    transport = httpx.ASGITransport(create_app(no_services, docs=docs))
    async with httpx.AsyncClient(transport=transport, base_url="http://remit.test") as http:
        yield http


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with serving(docs=True) as http:
        yield http


async def test_the_type_of_every_problem_leads_to_its_description(http: httpx.AsyncClient) -> None:
    for code, meaning in PROBLEMS.items():
        answer = await http.get(f"/problems/{code}")
        assert (answer.status_code, answer.json()["code"], answer.json()["title"]) == (200, code, meaning.title)
    assert (await http.get("/problems/none")).status_code == 404


async def test_a_problems_type_can_be_followed(http: httpx.AsyncClient) -> None:
    problem = (await http.get("/nothing")).json()
    found = (await http.get(problem["type"])).json()
    assert (found["type"], found["title"], found["status"]) == (problem["type"], problem["title"], problem["status"])


async def test_the_served_document_is_the_committed_one(http: httpx.AsyncClient) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Duplicate Operation ID")
        served = (await http.get("/openapi.json")).json()
    assert served == json.loads(COMMITTED.read_text()), "run `make openapi` and commit docs/openapi.json"


async def test_the_docs_page_loads_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    loaded = _Loaded()
    loaded.feed(page.text)
    assert len(loaded.urls) == 3
    assert not loaded.inline
    for url in loaded.urls:
        assert not re.match(r"([a-z]+:)?//", url)
        answer = await http.get(f"/{url}")
        assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (200, "nosniff"), url
        assert answer.headers["Content-Type"].partition(";")[0] in ("text/javascript", "text/css"), url
        unchanged = await http.get(f"/{url}", headers={"If-None-Match": answer.headers["ETag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_the_docs_page_may_run_no_script_but_its_own(http: httpx.AsyncClient) -> None:
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in (await http.get("/docs")).headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"


async def test_no_other_file_is_served_beside_the_docs_page(http: httpx.AsyncClient) -> None:
    for name in ("redoc.standalone.js", "..%2f__init__.py", "%2e%2e/settings.py", "nothing"):
        assert (await http.get(f"/docs/{name}")).status_code == 404, name


async def test_the_docs_page_is_off_unless_it_is_asked_for() -> None:
    assert Settings.model_fields["docs"].default is False
    async with serving(docs=False) as http:
        for path in ("/docs", "/openapi.json", "/docs/swagger-ui.css"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        assert (await http.get("/problems/not_found")).status_code == 200
