"""Settings: where PostgreSQL and Temporal are, how Temporal is reached, and where Remit listens."""

import os
import re
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from setting_groups.setting_group import SettingGroup
from setting_groups.value_lists import Keys


def default_cache() -> Path:
    """The folder for binaries that all homes share: built or downloaded once per machine."""
    return Path.home() / ".cache" / "remit"


class ServerSettings(SettingGroup):
    """Servers that a process speaks to, and its own addresses."""

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

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        """Refuse half of a client certificate, and files that nobody can read."""
        if (self.temporal_tls_cert is None) != (self.temporal_tls_key is None):
            raise ValueError("REMIT_TEMPORAL_TLS_CERT and REMIT_TEMPORAL_TLS_KEY belong together: set both.")
        for name in ("temporal_tls_ca", "temporal_tls_cert", "temporal_tls_key"):
            file = getattr(self, name)
            if file is not None and not os.access(file, os.R_OK):
                raise ValueError(f"REMIT_{name.upper()}={file} cannot be read: give the path of a PEM file.")
        return self
