"""`remit admin create`: how the first admin comes to be."""

import asyncio
import os
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from cli.main import app
from database.connections import Database
from devenv.home import Home, RunRecord
from staff.postgres.actions import ActionSearch, StaffActions
from tests.api.people import PASSWORD, Person

CREATE = [sys.executable, "-m", "cli", "admin", "create"]
ROOT = Path(__file__).resolve().parents[3]


async def create(*options: str, stdin: str = "", **variables: str) -> tuple[int, str]:
    """Exit code and what it said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")}
    command = await asyncio.create_subprocess_exec(
        *(*CREATE, *options),
        cwd=ROOT,
        env=kept | variables,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await command.communicate(stdin.encode())
    assert command.returncode is not None
    return command.returncode, said.decode()


async def create_here(*options: str, stdin: str = "", **variables: str) -> tuple[int, str]:
    """The same in this process: it starts at once, and hashes at once."""
    arguments = ["admin", "create", *options]
    ended = await asyncio.to_thread(CliRunner().invoke, app, arguments, input=stdin, env=variables)
    return ended.exit_code, ended.output


@pytest.mark.system
async def test_the_first_admin_is_made_from_the_command_line_and_signs_in(
    http: httpx.AsyncClient, database: Database, database_url: str
) -> None:
    grace = ["--email", "Grace@Example.com", "--full-name", "Grace Ade"]
    for options, password, problem in (
        (grace, "", "use --password-stdin"),
        ([*grace, "--password-stdin"], "short\n", "password: "),
        ([*grace, "--password-stdin"], "Password\n", "password: Many people use this password"),
        ([*grace[2:], "--email", "grace", "--password-stdin"], f"{PASSWORD}\n", "email: "),
        ([*grace[:2], "--password-stdin"], f"{PASSWORD}\n", "--promote cus_…"),
    ):
        status, said = await create_here(*options, stdin=password, REMIT_DATABASE_URL=database_url)
        assert (status, problem in said) == (2, True), said
        assert "Traceback" not in said
    status, said = await create(*grace, "--password-stdin", stdin=f"{PASSWORD}\n", REMIT_DATABASE_URL=database_url)
    assert (status, "is an admin now" in said, PASSWORD in said) == (0, True, False), said

    login = await http.post("/v1/auth/login", json={"email": "grace@example.com", "password": PASSWORD})
    person = Person(http, "", "", login.json()["access_token"], "grace@example.com")
    me = (await person.get("/v1/auth/me")).json()
    assert (me["role"], me["full_name"], me["email_verified"]) == ("admin", "Grace Ade", True)
    assert (await person.get("/v1/admin/stats")).status_code == 200
    account = await person.post("/v1/accounts", {"currency": "USD"})
    assert (account.status_code, account.json()["code"]) == (403, "identity_missing")
    (recorded,) = (await StaffActions(database).find(ActionSearch(subject=me["id"]), 50)).items
    assert (recorded.actor_id, recorded.channel, recorded.after) == (
        me["id"],
        "console",
        {"role": "admin", "new_password": True},
    )


async def test_whoever_registered_the_address_before_is_no_admin_by_accident(
    ada: Person, database_url: str, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    home.make()
    new = "another horse battery"
    with home.held():
        home.write_run(RunRecord("", "", None, database_url, {}))
        options = ["--email", ada.email, "--password-stdin"]
        status, said = await create_here(
            *options, "--full-name", "Somebody Else", stdin=f"{new}\n", REMIT_HOME=str(home.path)
        )
        assert (status, f"--promote {ada.id}" in said) == (1, True), said
        assert (await ada.get("/v1/auth/me")).json()["role"] == "customer"
        status, said = await create_here(
            *options, "--promote", ada.id, "--operator", stdin=f"{new}\n", REMIT_HOME=str(home.path)
        )
    assert (status, "is an operator now" in said) == (0, True), said
    assert (await ada.get("/v1/auth/me")).status_code == 401
    for password, status in ((PASSWORD, 401), (new, 200)):
        login = await ada.http.post("/v1/auth/login", json={"email": ada.email, "password": password})
        assert login.status_code == status
    ada.token = login.json()["access_token"]
    me = (await ada.get("/v1/auth/me")).json()
    assert (me["role"], me["full_name"]) == ("operator", "Ada Obi")


@pytest.mark.system
async def test_without_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    options = ["--email", "grace@example.com", "--full-name", "Grace Ade", "--password-stdin"]
    status, said = await create(*options, stdin=f"{PASSWORD}\n", REMIT_HOME=str(tmp_path / "none"))
    assert (status, "remit run" in said, "Traceback" in said) == (1, True, False), said
