"""Settings: mails, webhooks, and brokers."""

from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from setting_groups.setting_group import SettingGroup
from setting_groups.value_lists import Networks


class MessageSettings(SettingGroup):
    """Where what happened is told, outside of Remit."""

    # Mails.
    smtp_url: SecretStr | None = Field(None, description="smtp:// or smtps://user:password@host:port; sends mails.")
    mail_folder: Path | None = Field(None, description="Where mails go as files, if smtp_url is unset.")
    mail_from: str = Field(
        "Remit <no-reply@localhost>", pattern=r"^[^\r\n]{3,200}$", description="The sender of mails."
    )
    web_url: str | None = Field(
        None, pattern=r"^https?://[^\s#?]+$", description="Where customers' pages are, for the links in mails."
    )

    # Webhooks.
    webhook_allow: Networks = Field(
        None, description="Networks, with commas, that webhooks may go to although they are private."
    )

    # Brokers: each gets every event, if its setting is there.
    kafka_url: SecretStr | None = Field(
        None, description="kafka:// or kafkas://user:password@host:9092,host2:9092; the topic is remit.events."
    )
    rabbitmq_url: SecretStr | None = Field(
        None, description="amqp:// or amqps://user:password@host:5672/vhost; the exchange is wallet.events."
    )

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
