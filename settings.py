"""Settings: environment variables with the prefix `REMIT_`. An empty variable is unset.

Only composition roots (`cli/`, `serve.py`, `worker.py`, `devenv/`) read them and pass plain values on.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from ledger.fingerprints import LEAST_CHARACTERS
from ledger.limits.tier_limits import LAST_TIER, LimitTable
from ledger.money import is_currency
from standing_orders.calendar import RunHours, holidays_in, is_zone
from statements.statement import Bank, StatementTerms
from statements.statement_period import zones_in

PREFIX = "REMIT_"

# Requests in a window, and transfers in flight, where no setting says so. A sandbox is for trying and measuring.
RATE, STRICT_RATE, SANDBOX_RATE = 500, 50, 1_000_000
IN_FLIGHT = 100

# Variables with our prefix that are no settings: the compose file, the bench and the tests read them.
OTHER_VARIABLES = frozenset(
    "AUDITOR_PASSWORD BENCH_SETTING BROKERS_SECONDS CHAOS_ROUNDS CHAOS_SEED CHROMIUM EVENTS_SEEDS "
    "EVENTS_TRANSFERS HISTORY_RETENTION "
    "OPERATOR_PASSWORD OWNER_PASSWORD SCREENSHOTS SERVICE_PASSWORD WORKER_PASSWORD".split()
)

# Kubernetes gives every container variables of this shape for a service whose name begins with `remit`.
SERVICE_LINK = re.compile(r"\w+_SERVICE_(HOST|PORT)(_\w+)?=.*|\w+_PORT_\d+_(TCP|UDP)(_\w+)?=.*|\w+_PORT=(tcp|udp)://.*")


def default_cache() -> Path:
    """The folder for binaries that all homes share: built or downloaded once per machine."""
    return Path.home() / ".cache" / "remit"


def keys_in(given: SecretStr | None) -> list[str]:
    """The keys of a setting that takes several, separated by commas."""
    return [key for part in given.get_secret_value().split(",") if (key := part.strip())] if given else []


def texts_in(given: str | None) -> list[str]:
    """The values of a setting that takes several, separated by commas."""
    return [text for part in (given or "").split(",") if (text := part.strip())]


def _checked_keys(given: SecretStr | None) -> SecretStr | None:
    # The message never repeats a key.
    keys = keys_in(given)
    if any(len(key) < LEAST_CHARACTERS for key in keys):
        raise ValueError(f"each key must have at least {LEAST_CHARACTERS} characters")
    if len(set(keys)) < len(keys):
        raise ValueError("a key is given twice")
    return given if keys else None


Keys = Annotated[SecretStr | None, AfterValidator(_checked_keys)]


# Currency, tier, limit, major units.
_TIER_LIMITS = TypeAdapter(dict[str, dict[str, dict[str, int | None]]])


@cache
def _limit_table(tier_limits: str, cap_major: int | None) -> LimitTable:
    return LimitTable(_TIER_LIMITS.validate_json(tier_limits, strict=True), cap_major)


class Settings(BaseSettings):
    """Every setting of every Remit process. `docs/reference/settings.md` explains them in groups."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore")

    # Where things are.
    home: Path = Field(Path(".remit"), description="All local state of an embedded stack.")
    cache: Path = Field(default_factory=default_cache, description="Built or downloaded servers, shared by all homes.")
    database_url: str | None = Field(None, description="postgresql://… ; given: no PostgreSQL is embedded.")
    worker_database_url: str | None = Field(
        None, description="The same database for the steps of workers, whose login may move money. Unset: database_url."
    )
    operator_database_url: str | None = Field(
        None, description="The same database for people: `remit status` and `remit show` log in by it."
    )
    temporal_address: str | None = Field(None, description="host:port; given: no Temporal server is embedded.")
    temporal_cli: Path | None = Field(None, description="The `temporal` binary to embed.")
    temporal_namespace: str = "default"
    temporal_api_key: SecretStr | None = Field(None, description="For Temporal Cloud; switches TLS on.")
    temporal_tls: bool = False
    temporal_tls_ca: Path | None = Field(None, description="PEM: who signs the server's certificate; turns TLS on.")
    temporal_tls_cert: Path | None = Field(None, description="PEM: our certificate, where the server asks for one.")
    temporal_tls_key: Path | None = Field(None, description="PEM: its private key.")
    temporal_tls_name: str | None = Field(None, description="The name in the server's certificate, if not its host.")
    history_keys: Keys = Field(
        None,
        description="Encrypt what Temporal keeps: at least 32 characters each, separated by commas, the one that "
        "encrypts first. Unset: it is kept in the clear.",
    )
    temporal_ui_url: str | None = Field(None, description="Web UI, for links in answers to operators.")
    task_queue: str = "transfers"
    build_id: str | None = Field(
        None,
        pattern=r"^[\w.+-]{1,100}$",
        description="The version of this code that a worker reports to Temporal. Unset: none.",
    )

    # Where the embedded stack and the API listen.
    api_host: str = "127.0.0.1"
    api_port: int = Field(8000, ge=1, le=65535)
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Where a process serves its metrics, at the address api_host. Unset: the API at its own port, a "
        "worker nowhere.",
    )
    temporal_port: int = Field(7233, ge=1, le=65535)
    temporal_ui_port: int = Field(8233, ge=1, le=65535)

    # The API.
    jwt_secret: Keys = Field(
        None,
        description="Sign tokens: at least 32 characters each, separated by commas. The first signs, all verify.",
    )
    access_token_seconds: int = Field(900, ge=1, le=3600)
    session_seconds: int = Field(
        259_200, ge=60, le=259_200, description="A session ends after this, however often it was refreshed."
    )
    refresh_grace_seconds: int = Field(
        30, ge=0, le=300, description="How long a refresh token that was used gets the same next one again."
    )
    cookies_secure: bool = Field(True, description="Browsers send a session's cookies by HTTPS only.")
    cookie_origins: str | None = Field(
        None, description="Origins, with commas, whose pages may use a session's cookies, beside the API's own."
    )
    staff_second_factor: str = Field(
        "optional", pattern="^(optional|required)$", description="Whether staff need a second factor for their routes."
    )
    trusted_proxies: str | None = Field(
        None, description="Addresses and networks, with commas, whose X-Forwarded-For names the client."
    )
    clock_difference_seconds: int = Field(
        60, ge=0, le=600, description="How far the clocks of the API's processes and of PostgreSQL may be apart."
    )
    fingerprint_keys: Keys = Field(
        None, description="Prove who made an order: at least 32 characters each, separated by commas, the newest first."
    )
    retired_fingerprint_keys: Keys = Field(
        None, description="Former fingerprint keys: they prove what is in the books, and open no new transfer."
    )
    encryption_keys: Keys = Field(
        None,
        description="Encrypt secrets and documents in the database: at least 32 characters each, separated by commas, "
        "the one that encrypts first.",
    )
    rate_limit: int | None = Field(
        None, ge=1, description="Requests of one address in a window. Unset: 500, or a million with sandbox rails."
    )
    strict_rate_limit: int | None = Field(
        None,
        ge=1,
        description="The same for sign-ins and movements of money, by address and by customer. Unset: 50, or a million "
        "with sandbox rails.",
    )
    rate_window_seconds: int = Field(900, ge=1, le=86_400, description="The length of a window.")
    transfers_in_flight: int | None = Field(
        None,
        ge=1,
        description="Transfers of one customer that have not ended. Unset: 100, or any number with sandbox rails.",
    )
    cors_origins: str | None = Field(
        None, description="Origins, with commas, whose pages may call the API from a browser. Unset: none."
    )
    sandbox_rails: bool = Field(False, description="Customers may make their own deposits and withdrawals.")
    default_currency: str = Field("INR", description="Of a first account whose registration names no currency.")
    payee_checks: int = Field(50, ge=1, description="How many account numbers a customer may check in 15 minutes.")
    docs: bool = Field(False, description="Serve /docs and /openapi.json.")

    # Mails.
    smtp_url: SecretStr | None = Field(None, description="smtp:// or smtps://user:password@host:port; sends mails.")
    mail_folder: Path | None = Field(None, description="Where mails go as files, if smtp_url is unset.")
    mail_from: str = Field(
        "Remit <no-reply@localhost>", pattern=r"^[^\r\n]{3,200}$", description="The sender of mails."
    )
    web_url: str | None = Field(
        None, pattern=r"^https?://[^\s#?]+$", description="Where customers' pages are, for the links in mails."
    )

    # Statements of accounts.
    bank_name: str = Field("Remit", pattern=r"^[^\x00-\x1f]{1,140}$", description="Who keeps the accounts.")
    bank_address: str | None = Field(None, max_length=300, description="Its address, lines separated by semicolons.")
    time_zone: str = Field(
        "UTC",
        description="An IANA name: in which zone the days of statements, and of orders that name none, are counted.",
    )
    time_zones: str | None = Field(None, description="JSON: other zones by currency.")

    # Webhooks.
    webhook_allow: str | None = Field(
        None, description="Networks, with commas, that webhooks may go to although they are private."
    )

    # Brokers: each gets every event, if its setting is there.
    kafka_url: SecretStr | None = Field(
        None, description="kafka:// or kafkas://user:password@host:9092,host2:9092; the topic is remit.events."
    )
    rabbitmq_url: SecretStr | None = Field(
        None, description="amqp:// or amqps://user:password@host:5672/vhost; the exchange is wallet.events."
    )

    # Fundings.
    funding_floor_major: int = Field(
        1_000_000, ge=0, description="How far each funding account may go below zero, in major units of its currency."
    )
    funding_four_eyes_from_major: int = Field(
        10_000, ge=1, description="A funding of this amount or more needs the approval of a second person."
    )

    # Onboarding.
    verifier_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s#]+$",
        description="Where identity documents are verified, by HTTP.",
    )
    verifier_token: SecretStr | None = Field(None, description="The bearer token of the verifier.")

    # The saga.
    decline_from_major: int | None = Field(
        None, ge=1, description="Screening declines this amount and more, in major units of its currency. Unset: none."
    )

    tier_limits: str | None = Field(
        None,
        description='Other limits of tiers, as JSON by currency (`*`: all), tier and limit: {"INR": {"1": {…}}}.',
    )
    transaction_cap_major: int | None = Field(
        None, ge=1, description="The most that any one transaction moves, in major units, scaled. Unset: no cap."
    )

    review_from_major: int | None = Field(
        None,
        ge=0,
        description="Screening sends this amount and more to review, in major units of its currency. 0: never. Unset: "
        "from 25,000 US dollars on, scaled for other currencies.",
    )
    rules_file: Path | None = Field(
        None, description="The screening rules, as TOML or JSON, in place of those that come from the settings."
    )
    four_eyes_from_major: int | None = Field(
        None, ge=1, description="A review of this amount or more needs two deciders. Unset: one is enough."
    )
    four_eyes_after_seconds: int = Field(
        86_400, ge=0, description="Staff count where two people are needed once their role is this old."
    )
    review_deadline_seconds: int = Field(86_400, ge=1, description="A review that nobody decides fails after this.")
    review_reminder_seconds: int = Field(
        64_800, ge=1, description="Reviewers are reminded after this; if not before the deadline, after 3/4 of it."
    )
    tier_deadline_seconds: int = Field(
        1_209_600, ge=1, description="A request for a higher tier that nobody decides expires after this."
    )
    four_eyes_from_tier: int | None = Field(
        3, ge=2, le=LAST_TIER, description="A request for this tier or a higher one needs two deciders."
    )
    dispute_window_days: int = Field(
        120, ge=1, description="A transfer can be disputed for so long after its completion."
    )
    dispute_deadline_seconds: int = Field(
        1_209_600, ge=1, description="A dispute that nobody decides expires after this."
    )
    stuck_after_seconds: int = Field(60, ge=1, description="A money step in doubt for so long needs attention.")
    recovery_grace_seconds: int = Field(
        30, ge=0, description="Recovery ignores transfers that changed within this time."
    )
    recovery_interval_seconds: int = Field(60, ge=1, description="How often recovery looks for stranded transfers.")
    standing_order_hours: str = Field(
        "6,12,18", description="Hours of the payer's day at which standing orders are paid; the first: what is due."
    )
    standing_order_interval_seconds: int = Field(60, ge=1, description="How often what is due is looked for.")
    holidays_file: Path | None = Field(None, description="Holidays: a date, a month and day, or a weekday a line.")

    # The audit trail.
    audit_keys: Keys = Field(
        None,
        description="Sign the audit trail: at least 32 characters each, separated by commas. The first signs, all "
        "check. Unset: the fingerprint keys do.",
    )
    audit_folder: Path | None = Field(
        None, description="Where signed heads of the audit trail go as a file, beside the log."
    )
    audit_seal_seconds: int = Field(60, ge=1, description="How often a worker seals the audit trail.")
    audit_months: int | None = Field(
        None, ge=12, description="Whole months that the audit trail keeps. Unset: all of them."
    )
    request_months: int | None = Field(13, ge=1, description="Whole months that the records of requests are kept.")
    event_days: int = Field(90, ge=7, description="Days that events are kept, at least.")
    audit_export_seconds: int = Field(3600, ge=1, description="How often a worker exports its signed heads.")

    # Sizes of one process.
    database_connections: int = Field(
        20, ge=1, description="The most PostgreSQL connections of the API, and of a worker."
    )
    log_folder: Path | None = Field(
        None, description="Where `api.log` and `worker.log` go; they rotate. Unset: lines go to stderr."
    )
    report_connections: int = Field(
        4, ge=2, description="The most PostgreSQL connections that lists, totals and audits of the API use."
    )
    audit_timeout_seconds: int = Field(3600, ge=1, description="An audit that takes longer is given up.")
    log_format: str = Field("console", pattern="^(console|json)$")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @property
    def most_requests(self) -> tuple[int, int]:
        """Requests of one address in a window, and those that sign in or move money."""
        general, strict = (SANDBOX_RATE, SANDBOX_RATE) if self.sandbox_rails else (RATE, STRICT_RATE)
        return self.rate_limit or general, self.strict_rate_limit or strict

    @property
    def most_in_flight(self) -> int | None:
        """Transfers of one customer that have not ended; None: any number."""
        return self.transfers_in_flight or (None if self.sandbox_rails else IN_FLIGHT)

    @field_validator("temporal_address")
    @classmethod
    def _is_host_and_port(cls, address: str | None) -> str | None:
        if address is None:
            return None
        host, _, port = address.rpartition(":")
        if not re.fullmatch(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]", host) or not re.fullmatch(r"\d{1,5}", port):
            raise ValueError(f"must look like host:7233, not {address}")
        return address

    @field_validator("database_url", "worker_database_url", "operator_database_url")
    @classmethod
    def _is_a_database_url(cls, url: str | None) -> str | None:
        # The message never repeats the value: there is a password in it.
        if url is None:
            return None
        wanted = "must look like postgresql://user:password@host:port/database, special characters as %XX"
        try:
            parts = urlsplit(url)
            parts.port  # noqa: B018 - raises where it is no number
        except ValueError:
            raise ValueError(wanted) from None
        if parts.scheme not in {"postgresql", "postgres"} or not (parts.netloc or parts.query):
            raise ValueError(wanted)
        return url

    @field_validator("standing_order_hours")
    @classmethod
    def _are_hours(cls, given: str) -> str:
        try:
            RunHours(tuple(int(hour) for hour in given.split(",")))
        except ValueError:
            raise ValueError(f"must be hours from 0 to 23 in their order, such as 6,12,18, not {given}") from None
        return given

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, given: str) -> str:
        if not is_zone(given):
            raise ValueError(f"must be a zone of the IANA database, such as Africa/Lagos, not {given}")
        return given

    @field_validator("holidays_file")
    @classmethod
    def _has_holidays(cls, given: Path | None) -> Path | None:
        if given is not None:
            try:
                holidays_in(given.read_text().splitlines())
            except (OSError, ValueError) as error:
                raise ValueError(f"cannot be read: {error}") from error
        return given

    @field_validator("smtp_url")
    @classmethod
    def _is_an_smtp_url(cls, url: SecretStr | None) -> SecretStr | None:
        # The message never repeats the value: there is a password in it.
        if url is None:
            return None
        with suppress(ValueError):
            parts = urlsplit(url.get_secret_value())
            if parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0:
                return url
        raise ValueError("must look like smtp://user:password@host:587 or smtps://…, special characters as %XX")

    @field_validator("kafka_url", "rabbitmq_url")
    @classmethod
    def _is_a_broker_url(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        # The message never repeats the value: there is a password in it.
        if url is None:
            return None
        scheme, port = {"kafka_url": ("kafka", 9092), "rabbitmq_url": ("amqp", 5672)}[str(info.field_name)]
        parts = urlsplit(url.get_secret_value())
        if parts.scheme in (scheme, f"{scheme}s") and parts.netloc.rpartition("@")[2]:
            return url
        raise ValueError(f"must look like {scheme}://user:password@host:{port} or {scheme}s://…")

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, listed: str | None) -> str | None:
        for each in texts_in(listed):
            if not re.fullmatch(r"https?://[\w.-]+(:\d{1,5})?|https?://\[[0-9A-Fa-f:]+\](:\d{1,5})?", each):
                raise ValueError(f"{each} is no origin: give scheme, host and port, like https://bank.example.com")
        return listed

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        """Refuse half of a client certificate, and files that nobody can read."""
        if (self.temporal_tls_cert is None) != (self.temporal_tls_key is None):
            raise ValueError("REMIT_TEMPORAL_TLS_CERT and REMIT_TEMPORAL_TLS_KEY belong together: set both.")
        for name in ("temporal_tls_ca", "temporal_tls_cert", "temporal_tls_key"):
            file = getattr(self, name)
            if file is not None and not os.access(file, os.R_OK):
                raise ValueError(f"{PREFIX}{name.upper()}={file} cannot be read: give the path of a PEM file.")
        return self

    @field_validator("default_currency")
    @classmethod
    def _is_a_currency(cls, code: str) -> str:
        if not is_currency(code):
            raise ValueError(f"must be an ISO 4217 code of a currency in circulation, such as USD, not {code}")
        return code

    @field_validator("trusted_proxies", "webhook_allow")
    @classmethod
    def _are_networks(cls, listed: str | None) -> str | None:
        for each in filter(None, (part.strip() for part in (listed or "").split(","))):
            ip_network(each, strict=False)  # its message says what is wrong
        return listed

    @model_validator(mode="after")
    def _has_limits(self) -> Self:
        """Refuse limits of what does not exist: a misspelt one would silently limit nothing."""
        self.limits()
        return self

    def statement_terms(self) -> StatementTerms:
        """What statements print, and in which time zones they count days."""
        address = tuple(line for part in (self.bank_address or "").split(";") if (line := part.strip()))
        return StatementTerms(Bank(self.bank_name, address), zones_in(self.time_zone, self.time_zones or "{}"))

    def limits(self) -> LimitTable:
        """What accounts may send and hold."""
        try:
            return _limit_table(self.tier_limits or "{}", self.transaction_cap_major)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"REMIT_TIER_LIMITS: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        except ValueError as error:
            raise ValueError(f"REMIT_TIER_LIMITS: {error}") from error

    @model_validator(mode="after")
    def _reminds_before_the_deadline(self) -> Self:
        """Move a reminder that would be too late before the deadline, also if only the deadline was lowered."""
        if self.review_reminder_seconds >= self.review_deadline_seconds:
            self.review_reminder_seconds = self.review_deadline_seconds * 3 // 4
        return self

    @model_validator(mode="after")
    def _rules_come_from_one_place(self) -> Self:
        """Refuse thresholds beside a file of rules: nobody could tell which of them count."""
        if self.rules_file is not None and (self.review_from_major, self.decline_from_major) != (None, None):
            raise ValueError(
                "REMIT_RULES_FILE has all rules: unset REMIT_REVIEW_FROM_MAJOR and REMIT_DECLINE_FROM_MAJOR, and say "
                "in the file from which amounts on transfers are reviewed or declined."
            )
        return self

    @model_validator(mode="after")
    def _thresholds_agree(self) -> Self:
        """Refuse thresholds that would silently switch reviews off."""
        review, four_eyes, decline = self.review_from_major, self.four_eyes_from_major, self.decline_from_major
        if review and decline is not None and review >= decline:
            raise ValueError(
                f"REMIT_REVIEW_FROM_MAJOR={review} and REMIT_DECLINE_FROM_MAJOR={decline} contradict each other: "
                "amounts are declined before anybody could review them. Review from a smaller amount."
            )
        if four_eyes is not None and review == 0:
            raise ValueError(
                f"REMIT_FOUR_EYES_FROM_MAJOR={four_eyes} has no effect with REMIT_REVIEW_FROM_MAJOR=0, which switches "
                "reviews off."
            )
        if four_eyes is not None and decline is not None and four_eyes >= decline:
            raise ValueError(
                f"REMIT_FOUR_EYES_FROM_MAJOR={four_eyes} and REMIT_DECLINE_FROM_MAJOR={decline} contradict each other: "
                "amounts are declined before two people could review them. Ask for four eyes from a smaller amount."
            )
        return self


def unknown_variables(variables: Mapping[str, str]) -> list[str]:
    """A sentence for each variable with our prefix that is no setting: a misspelt one would silently do nothing."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    others = {PREFIX + name for name in OTHER_VARIABLES}
    found = []
    for name, value in sorted(variables.items()):
        wanted = name.upper()
        if not wanted.startswith(PREFIX) or wanted in known | others or SERVICE_LINK.fullmatch(f"{wanted}={value}"):
            continue
        (close,) = get_close_matches(wanted, known, n=1) or (None,)
        found.append(f"{name}: there is no such setting.{f' Did you mean {close}?' if close else ''}")
    return found
