"""Pages of other origins: closed, unless a setting names them."""

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from api.app import create_app
from settings import Settings

PAGE = "https://bank.example.com"


async def asked(origins: tuple[str, ...], origin: str) -> httpx.Response:
    """The answer to a browser that asks whether a page of `origin` may send a transfer."""
    no_services: Any = None
    transport = httpx.ASGITransport(create_app(no_services, docs=False, origins=origins))
    async with httpx.AsyncClient(transport=transport, base_url="http://remit.test") as http:
        return await http.options(
            "/v1/transfers",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
            },
        )


async def test_no_page_of_another_origin_may_call_unless_it_is_named() -> None:
    assert "Access-Control-Allow-Origin" not in (await asked((), PAGE)).headers
    assert "Access-Control-Allow-Origin" not in (await asked((PAGE,), "https://evil.example")).headers
    allowed = await asked((PAGE,), PAGE)
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == PAGE
    assert allowed.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize("given", ["*", "bank.example.com", "https://bank.example.com/pages"])
def test_an_origin_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="is no origin"):
        Settings.model_validate({"cors_origins": given})
