"""Browsers: tokens in cookies that no script reads, and no request that another page has made."""

from collections.abc import AsyncIterator

import httpx
import pytest

from api_services import compose_api
from database.connections import Database
from settings import Settings
from tests.api.people import PASSWORD, Person, client_of, register

LOGIN, REFRESH, LOGOUT = (f"/v1/auth/browser/{name}" for name in ("login", "refresh", "logout"))
ORIGIN = {"Origin": "https://remit.test"}


@pytest.fixture
async def browser(http: httpx.AsyncClient, settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """It keeps cookies, and sends secure ones by HTTPS only."""
    changed = settings.model_copy(update={"cookie_origins": "https://app.remit.test"})
    async with client_of(changed, compose_api(changed, database, with_worker=False)) as client:
        client.base_url = httpx.URL("https://remit.test")
        yield client


async def sign_in(browser: httpx.AsyncClient, person: Person, **headers: str) -> httpx.Response:
    return await browser.post(LOGIN, json={"email": person.email, "password": PASSWORD}, headers=ORIGIN | headers)


def answered(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_the_tokens_of_a_browser_are_in_cookies_that_no_script_reads(
    browser: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    ada = await register(http)
    answer = await sign_in(browser, ada)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"customer_id", "csrf_token", "expires_in", "refresh_expires_in"}
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == ["__Host-remit_access", "__Secure-remit_refresh"]
    for cookie in cookies:
        assert {"HttpOnly", "Secure", "SameSite=strict"} <= set(cookie.split("; "))
    assert (await browser.get("/v1/auth/me")).json()["id"] == ada.id


async def test_a_request_with_cookies_that_changes_something_needs_the_sessions_own_token_and_origin(
    browser: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    ada, ben = await register(http), await register(http)
    theirs = (await sign_in(browser, ben)).json()["csrf_token"]
    mine = (await sign_in(browser, ada)).json()["csrf_token"]
    body = {"currency": "EUR"}
    right = ORIGIN | {"X-CSRF-Token": mine}
    for wrong in (
        ORIGIN,
        right | {"X-CSRF-Token": theirs},
        right | {"X-CSRF-Token": "\u00e4".encode()},
        right | {"Origin": "https://evil.test"},
        right | {"Origin": "null"},
        {"X-CSRF-Token": mine, "Sec-Fetch-Site": "cross-site"},
    ):
        refused = await browser.post("/v1/accounts", json=body, headers=wrong)
        assert answered(refused) == (403, "csrf_refused"), wrong
    assert (await browser.post("/v1/accounts", json=body, headers=right)).status_code == 201
    other = right | {"Origin": "https://app.remit.test"}
    assert (await browser.post("/v1/accounts", json={"currency": "GBP"}, headers=other)).status_code == 201
    # A bearer token counts before cookies, and needs none of it.
    bearer = {"Authorization": f"Bearer {ben.token}"}
    assert (await browser.post("/v1/accounts", json=body, headers=bearer)).json()["owner_id"] == ben.id


async def test_a_browser_is_not_signed_in_by_another_origin(
    browser: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    assert answered(await sign_in(browser, await register(http), Origin="https://evil.test")) == (403, "csrf_refused")


async def test_a_browser_refreshes_by_its_cookie_and_signs_out_without_any_left(
    browser: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    assert answered(await browser.post(REFRESH, headers=ORIGIN)) == (401, "refresh_token_invalid")
    token = (await sign_in(browser, await register(http))).json()["csrf_token"]
    assert answered(await browser.post(REFRESH, headers=ORIGIN)) == (403, "csrf_refused")
    right = ORIGIN | {"X-CSRF-Token": token}
    before = browser.cookies["__Secure-remit_refresh"]
    refreshed = await browser.post(REFRESH, headers=right)
    assert (refreshed.status_code, refreshed.json()["csrf_token"]) == (200, token)
    assert browser.cookies["__Secure-remit_refresh"] != before
    access = browser.cookies["__Host-remit_access"]
    assert (await browser.post("/v1/auth/logout", headers=right)).status_code == 204
    assert not list(browser.cookies.jar)
    assert (await http.get("/v1/auth/me", headers={"Authorization": f"Bearer {access}"})).status_code == 401


async def test_a_browser_signs_out_after_its_access_token_has_expired(
    browser: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    right = ORIGIN | {"X-CSRF-Token": (await sign_in(browser, await register(http))).json()["csrf_token"]}
    access, refresh = (browser.cookies[name] for name in ("__Host-remit_access", "__Secure-remit_refresh"))
    browser.cookies.delete("__Host-remit_access")
    for wrong in (ORIGIN, right | {"Origin": "https://evil.test"}):
        assert answered(await browser.post(LOGOUT, headers=wrong)) == (403, "csrf_refused")
    assert (await http.get("/v1/auth/me", headers={"Authorization": f"Bearer {access}"})).status_code == 200
    for _ in range(2):  # the second one has no cookie
        assert (await browser.post(LOGOUT, headers=right)).status_code == 204
        assert not list(browser.cookies.jar)
    assert (await http.get("/v1/auth/me", headers={"Authorization": f"Bearer {access}"})).status_code == 401
    assert (await http.post("/v1/auth/refresh", json={"refresh_token": refresh})).status_code == 401


async def test_on_plain_http_the_cookies_of_an_embedded_stack_are_not_secure(
    http: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    plain = settings.model_copy(update={"cookies_secure": False})
    ada = await register(http)
    async with client_of(plain, compose_api(plain, database, with_worker=False)) as client:
        answer = await client.post(LOGIN, json={"email": ada.email, "password": PASSWORD})
        assert "Secure" not in " ".join(answer.headers.get_list("set-cookie"))
        assert (await client.get("/v1/auth/me")).json()["id"] == ada.id


async def test_a_browsers_page_that_was_loaded_again_finds_its_session(
    browser: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    session = "/v1/auth/browser/session"
    assert answered(await browser.get(session)) == (401, "refresh_token_invalid")
    ada = await register(http)
    first = (await sign_in(browser, ada)).json()
    now = (await browser.get(session)).json()
    assert (now["customer_id"], now["csrf_token"]) == (ada.id, first["csrf_token"])
    assert 0 < now["expires_in"] <= first["expires_in"]
    assert 0 < now["refresh_expires_in"] <= first["refresh_expires_in"]
    # Only our own pages: another origin on this host has the cookies, too.
    assert answered(await browser.get(session, headers={"Origin": "https://evil.test"})) == (403, "csrf_refused")
    assert answered(await browser.get(session, headers={"Sec-Fetch-Site": "same-site"})) == (403, "csrf_refused")
    browser.cookies.delete("__Host-remit_access")
    assert (await browser.get(session)).json()["expires_in"] == 0
    token = {"X-CSRF-Token": now["csrf_token"]} | ORIGIN
    assert (await browser.post(REFRESH, headers=token)).status_code == 200
    refresh = browser.cookies["__Secure-remit_refresh"]
    assert (await browser.post(LOGOUT, headers=token)).status_code == 204
    kept = {"Cookie": f"__Secure-remit_refresh={refresh}"}
    assert answered(await browser.get(session, headers=kept)) == (401, "refresh_token_invalid")
