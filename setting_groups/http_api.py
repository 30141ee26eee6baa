"""Settings: whom the API lets in, how often, and what it serves."""

import re

from pydantic import Field, field_validator

from setting_groups.setting_group import SettingGroup
from setting_groups.value_lists import Keys, Networks, texts_in

# Requests in a window, and transfers in flight, where no setting says so. A sandbox is for trying and measuring.
RATE, STRICT_RATE, SANDBOX_RATE = 500, 50, 1_000_000
IN_FLIGHT = 100


class HttpSettings(SettingGroup):
    """Tokens, sessions, limits on requests, and browsers."""

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
    trusted_proxies: Networks = Field(
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
    docs: bool = Field(False, description="Serve /docs and /openapi.json.")

    @property
    def most_requests(self) -> tuple[int, int]:
        """Requests of one address in a window, and those that sign in or move money."""
        general, strict = (SANDBOX_RATE, SANDBOX_RATE) if self.sandbox_rails else (RATE, STRICT_RATE)
        return self.rate_limit or general, self.strict_rate_limit or strict

    @property
    def most_in_flight(self) -> int | None:
        """Transfers of one customer that have not ended; None: any number."""
        return self.transfers_in_flight or (None if self.sandbox_rails else IN_FLIGHT)

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, listed: str | None) -> str | None:
        for each in texts_in(listed):
            if not re.fullmatch(r"https?://[\w.-]+(:\d{1,5})?|https?://\[[0-9A-Fa-f:]+\](:\d{1,5})?", each):
                raise ValueError(f"{each} is no origin: give scheme, host and port, like https://bank.example.com")
        return listed
