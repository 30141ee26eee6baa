"""Statements of accounts as requests and answers."""

from datetime import date, datetime
from typing import Annotated

from pydantic import Discriminator, Field, Tag, WithJsonSchema

from api.http.fields import CurrencyCode, In, Moment, NumberOut
from api.ownership.owned import Owned, OwnedPage
from ledger.ids import AccountId
from statements.renderings.statement_format import StatementFormat
from statements.statement import AccountStatement, StatementState
from statements.statement_period import day_begins, day_ends

_LENGTH_OF_A_DAY = len("2026-11-22")

DayOrMoment = Annotated[
    Annotated[date, Tag("day")] | Annotated[Moment, Tag("moment")],
    Discriminator(lambda given: "day" if isinstance(given, str) and len(given) <= _LENGTH_OF_A_DAY else "moment"),
    # Whoever reads a schema without formats takes any text for both.
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}),
]


class AccountStatementIn(In):
    """A period: whole days in the account's time zone, or moments with their offsets from UTC."""

    begins: DayOrMoment = Field(alias="from", description="The first day, or the first moment", examples=["2026-10-01"])
    ends: DayOrMoment = Field(
        alias="to",
        description="The last day, or the moment that the period ends before. One to come is the present",
        examples=["2026-10-31"],
    )

    def span(self, zone: str) -> tuple[datetime, datetime]:
        """Its first moment, and the first one behind it. Days are those of the zone. Raises `OverflowError`."""
        begins = self.begins if isinstance(self.begins, datetime) else day_begins(self.begins, zone)
        ends = self.ends if isinstance(self.ends, datetime) else day_ends(self.ends, zone)
        return begins, ends


_FILE = "/v1/accounts/acc_4nwfrqbr4ujwnzlh5qvtcnmt2q/statements/3"


class AccountStatementOut(Owned):
    """A statement, without its entries. Amounts are in the currency's minor unit."""

    not_found = "statement_not_found"

    account_id: AccountId
    number: int = Field(description="1, 2, 3 … for each account", examples=[3])
    account_number: NumberOut
    currency: CurrencyCode
    state: StatementState = Field(description="`summing`: its entries are still being added up", examples=["ready"])
    begins_at: datetime
    ends_at: datetime = Field(description="The first moment behind the period")
    time_zone: str = Field(description="Whose days it counts", examples=["Africa/Lagos"])
    month: str | None = Field(description="The month that it was made for by itself", examples=["2026-10"])
    opening: int = Field(description="The balance before its first entry", examples=[500_000])
    credits: int | None = Field(description="What came in; null until it is ready", examples=[0])
    credit_count: int | None = Field(examples=[0])
    debits: int | None = Field(description="What went out; null until it is ready", examples=[125_500])
    debit_count: int | None = Field(examples=[1])
    closing: int = Field(description="Opening and credits without debits", examples=[374_500])
    from_version: int = Field(description="The version of its first entry", examples=[2])
    to_version: int = Field(description="That of its last one; one less than the first: there is none", examples=[2])
    lines: int = Field(description="How many entries it has", examples=[1])
    lines_summed: int = Field(description="How many of them are added up", examples=[1])
    opening_hash: str = Field(description="The hash of the entry before the first one")
    head_hash: str = Field(description="The hash of its last entry")
    made_at: datetime
    ready_at: datetime | None
    files: dict[StatementFormat, str] = Field(
        description="Where it is in each format. All say the same",
        examples=[{format_.value: f"{_FILE}.{format_}" for format_ in StatementFormat}],
    )

    @classmethod
    def of(cls, statement: AccountStatement) -> "AccountStatementOut":
        is_ready = statement.ready_at is not None
        location = location_of(statement)
        return cls(
            account_id=statement.account_id,
            number=statement.number,
            account_number=statement.account_number,
            currency=statement.currency,
            state=statement.state,
            begins_at=statement.begins_at,
            ends_at=statement.ends_at,
            time_zone=statement.time_zone,
            month=f"{statement.month:%Y-%m}" if statement.month else None,
            opening=statement.opening_minor,
            credits=statement.credits_minor if is_ready else None,
            credit_count=statement.credits if is_ready else None,
            debits=statement.debits_minor if is_ready else None,
            debit_count=statement.debits if is_ready else None,
            closing=statement.closing_minor,
            from_version=statement.from_version,
            to_version=statement.to_version,
            lines=statement.lines,
            lines_summed=statement.lines_summed,
            opening_hash=statement.opening_hash.hex(),
            head_hash=statement.head_hash.hex(),
            made_at=statement.made_at,
            ready_at=statement.ready_at,
            files={format_: f"{location}.{format_}" for format_ in StatementFormat},
        ).owned_by(statement.owner_id)


class AccountStatementsOut(OwnedPage):
    """A page of statements, newest first."""

    items: list[AccountStatementOut]
    next_cursor: str | None


def location_of(statement: AccountStatement) -> str:
    """Where its owner finds it."""
    return f"/v1/accounts/{statement.account_id}/statements/{statement.number}"
