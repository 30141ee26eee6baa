"""The API, as the commands of staff use it: signed in with a token, or with an address and a password."""

import secrets
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import httpx
import typer

from cli.console import fail, run_async
from settings import Settings

Result = TypeVar("Result")

# The options of every command that signs in.
EmailOption = Annotated[str | None, typer.Option(help="Sign in with this address. Asks for the password.")]
PasswordStdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, not a prompt.")
]
TokenOption = Annotated[str | None, typer.Option(envvar="STAFF_TOKEN", help="An access token, instead of an address.")]
ApiOption = Annotated[str | None, typer.Option(help="Where the API is. Without it: the running stack's.")]


@dataclass(frozen=True)
class StaffApi:
    """The API for somebody who has signed in. Every call raises `ApiRefused` for a problem."""

    http: httpx.AsyncClient

    async def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Read something."""
        return json_of(await self.http.get(path, params=query))

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Do something, once: under a key of its own."""
        return json_of(await self.http.post(path, json=body, headers={"Idempotency-Key": secrets.token_hex(16)}))


class ApiRefused(Exception):
    """The API answered with a problem."""


@dataclass(frozen=True)
class SignIn:
    """Where the API is and who asks: with a token, or with an address and a password that is asked for."""

    api: str | None
    token: str | None
    email: str | None
    password_stdin: bool

    @property
    def url(self) -> str:
        """The address that was given, else that of the running stack. Ends the command where there is none."""
        from devenv.home import live_run

        running = live_run(Settings().home) if self.api is None else None
        url = self.api or (running.api_url if running else None)
        if url is None:
            fail("No stack runs here: give --api, the address of the API.", status=2)
        return url


@asynccontextmanager
async def staff_api(who: SignIn) -> AsyncIterator[StaffApi]:
    """The API for this person. Raises `ApiRefused` where they cannot sign in."""
    async with httpx.AsyncClient(base_url=who.url, timeout=30, trust_env=False) as http:
        http.headers["Authorization"] = f"Bearer {who.token or await _signed_in(http, who)}"
        yield StaffApi(http)


def by_staff_api(who: SignIn, work: Coroutine[Any, Any, Result]) -> Result:
    """Run what asks the API. Ends the command with exit code 2 where the API refuses or does not answer."""
    if (who.token is None) == (who.email is None):
        work.close()
        fail("Give --email, or a token in STAFF_TOKEN.", status=2)
    url = who.url
    try:
        return run_async(work)
    except ApiRefused as refused:
        fail(str(refused), status=2)
    except httpx.HTTPError as error:
        fail(f"The API at {url} does not answer: {type(error).__name__}. What it has accepted goes on.", status=2)


async def _signed_in(http: httpx.AsyncClient, who: SignIn) -> str:
    password = sys.stdin.readline().rstrip("\n") if who.password_stdin else typer.prompt("Password", hide_input=True)
    body = {"email": who.email, "password": password}
    answer = await http.post("/v1/auth/login", json=body)
    if answer.status_code == httpx.codes.UNAUTHORIZED and answer.json()["code"] == "second_factor_required":
        body["second_factor"] = typer.prompt("Code of your app", hide_input=True)
        answer = await http.post("/v1/auth/login", json=body)
    return str(json_of(answer)["access_token"])


def json_of(answer: httpx.Response) -> dict[str, Any]:
    """What the API answered. Raises `ApiRefused` for a problem."""
    if answer.is_success:
        return dict(answer.json())
    try:
        problem = answer.json()
        raise ApiRefused(f"{problem['code']}: {problem['detail']}")
    except (ValueError, KeyError) as error:
        raise ApiRefused(f"The API answers {answer.status_code}.") from error
