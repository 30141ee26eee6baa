"""What `docker-compose.yml` promises to operators, read from the file: nothing here needs containers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from jsonschema import Draft202012Validator

from settings import Settings
from workflows import policies

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
TOOLS = {name for name, service in SERVICES.items() if service.get("profiles") == ["tools"]}
BROKERS = {name for name, service in SERVICES.items() if "profiles" in service} - TOOLS
JOBS = {name for name, service in SERVICES.items() if service["restart"].startswith("on-failure")}
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("remit:")}

VARIABLE = re.compile(r"\$\{(\w+)([^}]*)\}")
SECRET_NAME = re.compile(r"PASSWORD|SECRET|KEYS?$|TOKEN$")
REQUIRED = re.compile(r"\$\{\w+:\?[^}]+\}")
OPTIONAL = re.compile(r"\$\{\w+:-\}")
VERSION = re.compile(r":v?\d+\.\d+[\w.-]*$")

every_service = pytest.mark.parametrize("name", sorted(SERVICES))
every_job = pytest.mark.parametrize("name", sorted(JOBS))
every_lasting_service = pytest.mark.parametrize("name", sorted(SERVICES.keys() - JOBS - TOOLS))
every_tool = pytest.mark.parametrize("name", sorted(TOOLS))
every_container_of_ours = pytest.mark.parametrize("name", sorted(OURS))


def variables() -> Iterator[tuple[str, str]]:
    for text in re.findall(r"\$\{[^}]*\}", (PROJECT / "docker-compose.yml").read_text()):
        match = VARIABLE.fullmatch(text)
        assert match, text
        yield match[1], match[2]


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_the_file_follows_the_compose_specification() -> None:
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    problems = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(COMPOSE)]
    assert problems == []


def test_the_processes_are_the_ones_that_the_design_names() -> None:
    assert {"migrate", "api", "worker"} == OURS - TOOLS
    assert SERVICES["worker"]["deploy"]["replicas"] >= 2
    assert [SERVICES[name]["command"] for name in ("migrate", "api", "worker")] == [["migrate"], ["api"], ["worker"]]


@every_lasting_service
def test_a_service_that_stays_has_a_health_check_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    check = service["healthcheck"]
    assert check["test"][0] == "CMD", "exec form: not every image has a shell"
    assert check.keys() >= {"interval", "timeout", "retries", "start_period"}
    assert seconds(check["timeout"]) < seconds(check["interval"])


@every_job
def test_a_job_has_no_health_check_and_its_tries_are_counted(name: str) -> None:
    assert SERVICES[name]["restart"].startswith("on-failure:")
    assert SERVICES[name]["healthcheck"] == {"disable": True}


@every_service
def test_a_start_waits_for_health_or_for_the_end_of_a_job(name: str) -> None:
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in JOBS else "service_healthy"
        assert wanted["condition"] == expected, other


@every_tool
def test_a_tool_runs_only_when_a_person_runs_it(name: str) -> None:
    assert SERVICES[name]["restart"] == "no"
    assert "ports" not in SERVICES[name]
    assert not [other for other, service in SERVICES.items() if name in service.get("depends_on", {})]


def test_a_broker_runs_only_under_a_profile_of_its_name_and_nothing_waits_for_it() -> None:
    assert {"kafka", "rabbitmq"} == BROKERS
    for name in BROKERS:
        assert SERVICES[name]["profiles"] == [name]
        assert not [other for other, service in SERVICES.items() if name in service.get("depends_on", {})]
        (mount,) = SERVICES[name]["volumes"]
        assert mount.partition(":")[0] in COMPOSE["volumes"], "what it has confirmed outlives the container"


def test_people_log_in_to_the_books_by_a_role_of_their_own() -> None:
    assert SERVICES["psql"]["environment"]["PGUSER"] == "remit_operator"
    assert SERVICES["auditor"]["environment"]["PGUSER"] == "remit_auditor"
    url = VARIABLE.sub("secret", SERVICES["operator"]["environment"]["REMIT_OPERATOR_DATABASE_URL"])
    assert urlsplit(url).username == "remit_operator"


@every_job
def test_every_job_is_waited_for(name: str) -> None:
    assert any(name in service.get("depends_on", {}) for service in SERVICES.values())


@every_service
def test_an_image_is_pinned_to_a_version(name: str) -> None:
    assert VERSION.search(SERVICES[name]["image"])


@every_service
def test_an_image_comes_without_a_registry(name: str) -> None:
    assert "." not in SERVICES[name]["image"].split("/")[0] or "/" not in SERVICES[name]["image"]


def test_the_tools_are_of_the_servers_version() -> None:
    server = SERVICES["temporal"]["image"].rpartition(":")[2]
    for job in ("temporal-schema", "temporal-namespace"):
        assert SERVICES[job]["image"].startswith(f"temporalio/admin-tools:{server}-")


@every_service
def test_a_port_is_published_on_the_loopback_interface_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_only_the_api_and_the_pages_for_people_can_be_reached_from_outside() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    outside = {name for name, service in SERVICES.items() if "outside" in service["networks"] or "ports" in service}
    assert outside == {"api", "temporal-ui", "rabbitmq"}
    assert SERVICES["rabbitmq"]["ports"] == ["127.0.0.1:${RABBITMQ_UI_PORT:-15672}:15672"], "its management page only"
    assert all("inside" in service["networks"] and "network_mode" not in service for service in SERVICES.values())


@every_service
def test_a_container_may_not_gain_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service
    if name != "postgres":
        assert "cap_add" not in service
        # Kafka's image writes its configuration when it starts.
        assert name == "kafka" or service["read_only"] is True


@every_service
def test_a_containers_memory_is_limited(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])


@every_container_of_ours
def test_our_containers_run_as_the_images_own_user(name: str) -> None:
    user = SERVICES[name]["user"]
    assert int(user.split(":")[0]) >= 10_000
    assert f"\nUSER {user}\n" in (PROJECT / "Dockerfile").read_text()


@every_service
def test_a_secret_comes_from_the_environment_and_has_no_default(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if SECRET_NAME.search(variable):
            assert REQUIRED.fullmatch(value) or OPTIONAL.fullmatch(value), variable
        if variable.endswith("_URL") and "@" in str(value):
            password = re.search(r"://[^:/]+:(.+)@", value)
            assert password, variable
            assert REQUIRED.fullmatch(password[1]), variable


def test_no_variable_of_a_secret_has_a_default() -> None:
    for name, rest in variables():
        assert rest.startswith(":?" if SECRET_NAME.search(name) else ":-") or rest == ":-", name


def test_the_example_names_every_variable_and_no_secret_has_a_value() -> None:
    lines = (PROJECT / "deploy" / "env.example").read_text().splitlines()
    required = {line.removesuffix("=") for line in lines if re.fullmatch(r"[A-Z_]+=", line)}
    optional = dict(line[1:].split("=", 1) for line in lines if re.fullmatch(r"#[A-Z_]+=.*", line))
    assert not [line for line in lines if re.fullmatch(r"[A-Z_]+=.+", line)]
    assert required == {name for name, rest in variables() if rest.startswith(":?")}
    assert optional == {name: rest.removeprefix(":-") for name, rest in variables() if rest.startswith(":-")}


@every_container_of_ours
def test_our_settings_exist(name: str) -> None:
    for variable in SERVICES[name]["environment"]:
        assert variable.removeprefix("REMIT_").lower() in Settings.model_fields, variable


# Settings that no container gets, each with the reason.
NOT_IN_CONTAINERS = {
    "home": "the embedded stack alone has one",
    "cache": "the embedded stack alone has one",
    "temporal_cli": "no server is embedded",
    "temporal_port": "no server is embedded",
    "temporal_ui_port": "the compose file publishes it",
    "temporal_tls": "Temporal is on the inner network",
    "temporal_tls_ca": "Temporal is on the inner network",
    "temporal_tls_cert": "Temporal is on the inner network",
    "temporal_tls_key": "Temporal is on the inner network",
    "temporal_tls_name": "Temporal is on the inner network",
    "temporal_api_key": "Temporal is on the inner network",
    "audit_folder": "containers write signed heads into their log",
    "mail_folder": "containers send mails by SMTP",
    "log_folder": "containers log to Docker, which rotates",
    "task_queue": "the namespace is Remit's alone",
    "worker_database_url": "no container has an API with a worker in it; each has its own database_url",
}


def test_compose_passes_every_setting() -> None:
    passed = {variable for name in OURS for variable in SERVICES[name]["environment"]}
    missing = {name for name in Settings.model_fields if f"REMIT_{name.upper()}" not in passed}
    assert missing == set(NOT_IN_CONTAINERS)


def test_all_processes_get_the_same_settings_of_the_saga() -> None:
    shared = set(SERVICES["api"]["environment"]) & set(SERVICES["worker"]["environment"])
    saga = re.compile(r"REMIT_(\w+_FROM_MAJOR|(REVIEW|DISPUTE|STUCK|RECOVERY)_\w+)")
    wanted = {f"REMIT_{name.upper()}" for name in Settings.model_fields if saga.match(f"REMIT_{name.upper()}")}
    assert wanted <= shared
    assert wanted <= set(SERVICES["migrate"]["environment"]), "it sets the schedule of recovery"
    for variable in wanted:
        values = {SERVICES[name]["environment"][variable] for name in ("api", "worker", "migrate")}
        assert values == {f"${{{variable}:-}}"}


def test_the_ports_of_several_api_processes_are_a_range() -> None:
    # Docker gives each container of a service the next free port of a published range.
    (published,) = SERVICES["api"]["ports"]
    assert published == "127.0.0.1:${REMIT_API_PORT:-8000}:8000"
    assert "container_name" not in SERVICES["api"]
    assert "REMIT_API_PORT=8000-80" in (PROJECT / "docs" / "operate" / "scaling.md").read_text()


def test_only_migrations_run_as_the_owner_of_the_books() -> None:
    urls = {name: VARIABLE.sub("secret", SERVICES[name]["environment"]["REMIT_DATABASE_URL"]) for name in OURS - TOOLS}
    users = {name: urlsplit(url).username for name, url in urls.items()}
    assert users == {"migrate": "remit_owner", "api": "remit_service", "worker": "remit_worker"}


def test_a_worker_gets_the_time_that_its_steps_need_to_end() -> None:
    assert seconds(SERVICES["worker"]["stop_grace_period"]) >= policies.GRACEFUL_SHUTDOWN.total_seconds() + 5


def test_postgresql_keeps_its_data_in_a_named_volume() -> None:
    (mount,) = SERVICES["postgres"]["volumes"]
    volume, _, path = mount.partition(":")
    assert volume in COMPOSE["volumes"]
    assert path == "/var/lib/postgresql", "the place that the image of PostgreSQL 18 declares"


@every_service
def test_a_file_mounted_from_the_project_exists_and_is_read_only(name: str) -> None:
    for mount in SERVICES[name].get("volumes", []):
        if mount.startswith("."):
            source, target, mode = mount.split(":")
            assert (PROJECT / source).is_dir()
            assert mode == "ro"
            files = [part for part in map(str, mentioned(SERVICES[name])) if part.startswith(f"{target}/")]
            assert files, "mounted and not used"
            for file in files:
                assert (PROJECT / source / file.removeprefix(f"{target}/")).is_file()


def mentioned(service: dict[str, Any]) -> Iterator[Any]:
    yield from service.get("entrypoint", [])
    yield from service.get("command", [])
    yield from service.get("environment", {}).values()
    if "--config" in service.get("entrypoint", []):
        yield "/etc/remit/temporal/server.yaml"


def test_the_connections_of_all_processes_fit_into_postgresql() -> None:
    option = next(part for part in SERVICES["postgres"]["command"] if part.startswith("max_connections="))
    temporal = (PROJECT / "deploy" / "temporal" / "server.yaml").read_text()
    per_service = sum(int(size) for size in re.findall(r"maxConns: (\d+)", temporal))
    most = int(re.sub(r"\D", "", option))
    default = Settings.model_fields["database_connections"].default
    processes = 1 + 2 * SERVICES["worker"]["deploy"]["replicas"]  # while workers are replaced, twice as many
    assert 4 * per_service + processes * default < most


def test_temporal_takes_no_id_that_its_database_has_no_room_for() -> None:
    found = yaml.safe_load((PROJECT / "deploy" / "temporal" / "dynamicconfig.yaml").read_text())
    assert found["limit.maxIDLength"] == [{"value": 255}]
