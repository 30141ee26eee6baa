"""A rule of an installed package is configured and asked like those of Remit: `example_package` beside this file."""

import sys
import tomllib
from pathlib import Path

import pytest
from temporalio.client import Client

from customers.postgres import Customers
from database.connections import Database
from ledger.ids import WORLD
from ledger.transfers import State
from screening.rule_sets import RulesInvalid, rule_set_in
from tests.connections import Connection
from tests.orders import funded, order
from tests.workflows.sagas import UnreliableBook, sagas

PACKAGE = Path(__file__).parent / "example_package"
RULE = {"kind": "round_amount", "multiple_major": 10}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package, as an installer leaves it: its module on the path, and its metadata beside it."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    metadata = tmp_path / f"round_amounts-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in offered.items())
        for group, offered in project["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "round_amounts.py").write_text((PACKAGE / "round_amounts.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "round_amounts", raising=False)


@pytest.mark.usefixtures("installed")
def test_a_rule_of_an_installed_package_is_configured_by_its_kind_and_kept_with_its_version() -> None:
    found = rule_set_in([RULE])
    assert found.contents == [RULE | {"package": "round-amounts 1.2.0", "answer": "flag", "name": "round_amount"}]
    assert rule_set_in(found.contents).id == found.id
    with pytest.raises(RulesInvalid) as refused:
        rule_set_in([{"kind": "round_amount"}])
    assert refused.value.errors == ["rule 1: multiple_major: is missing"]


def test_a_rule_whose_package_is_not_installed_is_refused_by_name() -> None:
    with pytest.raises(RulesInvalid, match="there is no kind 'round_amount'"):
        rule_set_in([RULE])


@pytest.mark.usefixtures("installed")
async def test_a_rule_of_an_installed_package_flags_a_transfer(
    client: Client, database: Database, customers: Customers, owner: Connection
) -> None:
    book = UnreliableBook(database)
    payer = await funded(customers, book, 10_000)
    async with sagas(client, book, rule_set_in([RULE]).rules) as saga:
        for amount in (1_000, 1_001, 1_000):
            ended = await saga.run(order(payer.id, payer.account_id, WORLD, amount))
            assert ended.state is State.COMPLETED
    assert await owner.fetchval("SELECT count(*) FROM case_flags WHERE code = 'round_amount'") == 1
