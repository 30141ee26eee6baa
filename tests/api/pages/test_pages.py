"""The pages for people as the API serves them: what browsers keep, what they may load, and what is no page."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.pages.built_pages import BuiltPages

INDEX = "<!doctype html><title>Remit</title>"
SCRIPT = "console.log(1)\n" * 50


@asynccontextmanager
async def serving(pages: BuiltPages | None) -> AsyncIterator[httpx.AsyncClient]:
    """The application without services: no page asks PostgreSQL or Temporal."""
    no_services: Any = None
    transport = httpx.ASGITransport(create_app(no_services, docs=False, pages=pages))
    async with httpx.AsyncClient(transport=transport, base_url="http://remit.test") as http:
        yield http


@pytest.fixture(scope="module")
async def http(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "index-4f2a.js").write_text(SCRIPT)
    (folder / "icon.svg").write_text("<svg/>")
    async with serving(BuiltPages.read(folder)) as http:
        yield http


async def test_every_address_of_a_page_is_the_index_which_browsers_ask_for_again(http: httpx.AsyncClient) -> None:
    for address in ("/app", "/app/", "/app/transfers/trf_1", "/app/transactions?state=completed&state=failed"):
        answer = await http.get(address)
        assert (answer.status_code, answer.text) == (200, INDEX), address
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    tag = {"If-None-Match": answer.headers["etag"]}
    assert (await http.get("/app", headers=tag)).status_code == 304


async def test_a_page_may_load_scripts_of_its_own_server_only(http: httpx.AsyncClient) -> None:
    policy = (await http.get("/app")).headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy


async def test_a_hashed_file_of_a_page_is_kept_for_good_and_compressed(http: httpx.AsyncClient) -> None:
    async with http.stream("GET", "/app/assets/index-4f2a.js") as answer:
        sent = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(sent).decode() == SCRIPT
    plain = await http.get("/app/assets/index-4f2a.js", headers={"Accept-Encoding": "identity"})
    assert (plain.text, "content-encoding" in plain.headers) == (SCRIPT, False)
    assert (await http.get("/app/icon.svg")).headers["cache-control"] == "no-cache"


async def test_a_file_of_a_page_of_an_earlier_build_is_no_page(http: httpx.AsyncClient) -> None:
    answer = await http.get("/app/assets/index-0000.js")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_the_root_leads_to_the_pages_and_other_paths_stay_the_apis(http: httpx.AsyncClient) -> None:
    assert (await http.get("/")).headers["location"] == "/app"
    assert (await http.get("/nothing")).json()["code"] == "not_found"


async def test_without_built_pages_the_api_answers_alone(tmp_path: Path) -> None:
    assert BuiltPages.read(tmp_path) is None
    async with serving(None) as http:
        assert [(await http.get(path)).status_code for path in ("/", "/app", "/health")] == [404, 404, 200]
