"""House rules that a reader relies on: where things are, what they are called, and that stubs tell the truth."""

import inspect
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from temporalio import activity

from activities.books.account_statements import StatementSteps
from activities.books.batches import BatchSteps
from activities.books.rebuilds import RebuildSteps
from activities.disputes import DisputeSteps
from activities.notifications import NotificationSteps
from activities.onboarding import OnboardingSteps
from activities.recovery import RecoverySteps
from activities.reviews import ReviewSteps
from activities.screening import ScreeningSteps
from activities.staff import StaffSteps
from activities.sweeps.standing_orders import StandingOrderSteps
from activities.tiers import TierSteps
from activities.transfers import TransferSteps
from activities.webhooks.deliveries import DeliverySteps, WebhookSweepSteps
from tests.architecture.modules import ROOT, imports, module, sources
from workflows import steps

NOUNS = (
    "batches",
    "bulk_transfers",
    "customers",
    "disputes",
    "events",
    "ledger",
    "notifications",
    "onboarding",
    "projections",
    "reviews",
    "screening",
    "staff",
    "statements",
    "standing_orders",
    "tiers",
    "trail",
    "webhooks",
)
ROOMS = ("activities", "api", "bench", "brokers", "cli", "database", "devenv", "setting_groups", "workflows", *NOUNS)
ROOTS = (
    "api_services.py",
    "background_tasks.py",
    "event_tasks.py",
    "key_rings.py",
    "rule_files.py",
    "serve.py",
    "sweep_schedules.py",
    "temporal_client.py",
    "worker.py",
    "worker_process.py",
)
DRIVERS = {"alembic", "asyncpg", "sqlalchemy"}
MOST_MODULES = 12
MOST_LINES = 370
# A business noun has the same stem in every room, so that it is found by its name.
NOUN_STEMS = {
    "account",
    "account_statements",
    "accounts",
    "actions",
    "batch",
    "batches",
    "cases",
    "customer",
    "customers",
    "dead_letters",
    "dispute",
    "disputes",
    "document",
    "documents",
    "messages",
    "notifications",
    "onboarding",
    "operators",
    "rebuild",
    "recovery",
    "refusals",
    "reversals",
    "review",
    "member_lists",
    "reviews",
    "rule_sets",
    "screening",
    "staff",
    "statement",
    "standing_orders",
    "tier_request",
    "tiers",
    "transfer",
    "transfers",
    "updates",
}
# Other names that several rooms share because they mean the same in each.
SHARED_NAMES = {
    "__main__": "runs with `python -m`",
    "command": "carries out a command of `remit`",
    "models": "requests and answers of an API noun",
    "paging": "pages of a list, in SQL and over HTTP",
    "postgres": "the SQL of a room",
    "routes": "routes of an API noun",
    "rows": "rows as records",
    "rules": "the pure rules of a room",
    "staff_routes": "routes of an API noun for staff",
    "tables": "the SQLAlchemy tables of a noun",
}
FIELD_NOUNS_IN_ING = {"onboarding", "paging", "screening", "time_skipping"}
# Methods that a library calls by these names.
LIBRARY_NAMES = {"data_received", "get_route_handler", "process_errors", "timeout_keep_alive_handler"}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "service", "handler", "base", "common", "data"}
# Words of a story, where the field has a noun: a message, an answer, a finding.
STORY_WORDS = {"told", "untold", "said", "saying", "wish", "story"}


def activities() -> dict[str, object]:
    """Every activity method, by its name in Temporal."""
    return {
        name: method
        for room in (
            BatchSteps,
            StaffSteps,
            DisputeSteps,
            TierSteps,
            TransferSteps,
            NotificationSteps,
            OnboardingSteps,
            RebuildSteps,
            RecoverySteps,
            StandingOrderSteps,
            ReviewSteps,
            ScreeningSteps,
            StatementSteps,
            DeliverySteps,
            WebhookSweepSteps,
        )
        for name, method in inspect.getmembers(room, inspect.isfunction)
        if hasattr(method, "__temporal_activity_definition")
    }


def stubs() -> dict[str, object]:
    return {
        name: stub
        for name, stub in inspect.getmembers(steps, inspect.isfunction)
        if hasattr(stub, "__temporal_activity_definition")
    }


def test_every_stub_has_its_activity_with_the_same_signature() -> None:
    assert stubs().keys() == activities().keys()
    for name, stub in stubs().items():
        method = activities()[name]
        assert callable(stub)
        assert callable(method)
        asked = inspect.signature(stub)
        done = inspect.signature(method)
        without_self = list(done.parameters.values())[1:]
        assert [(p.name, p.annotation) for p in asked.parameters.values()] == [
            (p.name, p.annotation) for p in without_self
        ], name
        assert asked.return_annotation == done.return_annotation, name


def knows_sql(path: Path) -> bool:
    """Whether this is the room of connections, or a module or folder named `postgres`."""
    inside = path.relative_to(ROOT)
    return inside.parts[0] == "database" or "postgres" in (*inside.parts[:-1], inside.stem)


def test_pure_modules_of_nouns_need_the_standard_library_only() -> None:
    # These speak to servers, sign what is sent to them, or write XML and PDF, by packages that were made for it.
    others = {"smtp", "http_client", "signature", "camt", "pdf", "pdf_page"}
    pure = [path for path in sources(*NOUNS) if not knows_sql(path) and path.stem not in others]
    assert pure
    outside = {
        (str(path.relative_to(ROOT)), name)
        for path in pure
        for name in imports(path)
        if name.split(".")[0] not in {*sys.stdlib_module_names, *NOUNS} or "postgres" in name.split(".")
    }
    assert outside == set()


def test_only_the_database_room_and_modules_named_postgres_import_a_driver() -> None:
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in sources(*ROOMS, *ROOTS)
        if not knows_sql(path)
        for name in imports(path)
        if name.split(".")[0] in DRIVERS
    }
    assert found == set()


def test_the_product_imports_no_test() -> None:
    found = {path.name for path in sources(*ROOMS) for name in imports(path) if name.split(".")[0] == "tests"}
    assert found == set()


def test_no_two_classes_of_the_product_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path in sources(*ROOMS, *ROOTS, "deploy", "logs.py", "settings.py"):
        for _, name in module(path).classes:
            places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_folder_of_the_product_holds_at_most_twelve_modules() -> None:
    folders = Counter(path.parent for path in sources(*ROOMS) if path.name != "__init__.py")
    assert {str(folder.relative_to(ROOT)): many for folder, many in folders.items() if many > MOST_MODULES} == {}


def test_a_module_of_the_product_is_short_enough_to_be_read_at_once() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources(*ROOMS, *ROOTS, "logs.py", "settings.py")
        if (lines := path.read_text().count("\n")) > MOST_LINES
    }
    assert long == {}


def test_a_module_name_means_one_thing() -> None:
    modules: dict[str, list[str]] = {}
    for path in sources(*ROOMS, *ROOTS, "logs.py", "settings.py"):
        if path.name != "__init__.py":
            modules.setdefault(path.stem, []).append(str(path.relative_to(ROOT)))
    agreed = {*NOUN_STEMS, *SHARED_NAMES}
    assert {name: found for name, found in modules.items() if len(found) > 1 and name not in agreed} == {}
    assert {name for name in SHARED_NAMES if len(modules.get(name, ())) < 2} == set()


def test_a_module_is_not_named_by_a_gerund() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in sources(*ROOMS)
        if path.stem.endswith("ing") and path.stem not in FIELD_NOUNS_IN_ING
    ]
    assert found == []


def test_a_tests_name_contains_its_subject() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sources("tests")
        for line, name in module(path).functions
        if name.startswith(("test_it_", "test_what_"))
    ]
    assert found == []


def test_one_module_builds_workflow_ids() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources()
        if path.stem not in {"workflow_ids", "test_workflow_ids"}
        for line, text in module(path).beginnings
        if text.startswith(
            ("transfer/", "recover/", "dispute/", "onboarding/", "tier-request/", "rebuild/", "statement/", "webhook/")
        )
    ]
    assert found == []


def test_workflows_read_neither_the_clock_nor_chance() -> None:
    forbidden = {"random", "secrets", "time", "datetime.datetime", "uuid", "os", "pathlib"}
    found = {(path.name, name) for path in sources("workflows") for name in imports(path) if name in forbidden}
    assert found == set()


def test_nobody_imports_the_command_line_and_only_composition_roots_the_worker() -> None:
    importers = {
        str(path.relative_to(ROOT))
        for path in sources()
        if not {"cli", "tests"} & set(path.parts)
        for name in imports(path)
        if name.split(".")[0] == "cli"
    }
    assert importers == set()
    importers = {
        path.relative_to(ROOT).parts[0]
        for path in sources()
        if "worker" in imports(path) and not {"tests", "deploy"} & set(path.relative_to(ROOT).parts)
    }
    assert importers <= {"api_services.py", "cli", "event_tasks.py", "worker_process.py"}


def test_sql_stands_in_one_room() -> None:
    statement = re.compile(r"\b(SELECT .+ FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b", re.DOTALL)
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources(*ROOMS, *ROOTS)
        if not knows_sql(path)
        for line, text in module(path).texts
        if statement.search(text)
    ]
    assert found == []


@pytest.mark.parametrize("room", [room for room in ROOMS if (ROOT / room).exists()])
def test_a_rooms_init_stays_empty(room: str) -> None:
    for path in (ROOT / room).rglob("__init__.py"):
        assert path.read_text() == "", path


def test_names_say_what_things_are() -> None:
    empty = [
        str(path.relative_to(ROOT))
        for path in sources()
        if {part.lower() for part in (path.stem, *path.relative_to(ROOT).parts[:-1])} & EMPTY_NAMES
    ]
    for path in sources():
        for line, name in (*module(path).classes, *module(path).functions):
            words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+", name)}
            # Prose, where these words may have their everyday sense.
            claim = name.startswith("test_") or name in LIBRARY_NAMES
            if not claim and (words & EMPTY_NAMES or name.startswith("process_")):
                empty.append(f"{path.relative_to(ROOT)}:{line} {name}")
    assert empty == []


def test_names_are_nouns_and_verbs_of_the_field() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sources(*ROOMS, *ROOTS, "deploy", "logs.py", "settings.py")
        for line, name in (*module(path).classes, *module(path).functions, *module(path).variables)
        if STORY_WORDS & {word.lower() for word in re.findall(r"[A-Z]?[a-z]+", name)}
    ]
    assert found == []


def test_no_float_comes_near_money() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources(*NOUNS, "activities", "workflows")
        if path.stem != "pdf_page"  # places on paper are points, and no money
        for line in (
            *module(path).floats,
            *(module(path).divisions if path.relative_to(ROOT).parts[0] in NOUNS and not knows_sql(path) else ()),
        )
    ]
    assert found == ["workflows/policies.py:" + line for line in _backoff_lines()]


def _backoff_lines() -> list[str]:
    """Retry policies take a coefficient, the one float there is."""
    text = (ROOT / "workflows" / "policies.py").read_text().splitlines()
    return [str(number) for number, line in enumerate(text, 1) if "backoff_coefficient" in line]


def test_every_activity_is_registered_under_its_own_name() -> None:
    for name, stub in stubs().items():
        definition = getattr(stub, "__temporal_activity_definition")
        assert isinstance(definition, activity._Definition)  # noqa: SLF001 - how the SDK keeps the name
        assert definition.name == name


def test_no_file_names_this_machine_or_a_registry() -> None:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    private = re.compile(
        r"pypi\.org|files\.pythonhosted|registry\.npmjs|proxy\.golang\.org|repo1?\.maven|/root/|/home/\w"
    )
    found = []
    for name in names:
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {match[0]}" for match in private.finditer(text)]
    assert found == []
