"""Whom an answer belongs to: a second wall, behind the SQL that selects only what is the reader's own.

Every answer of a customer's route is one of the three classes here, and `api/ownership/check.py` looks at it last.
"""

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import BaseModel, PrivateAttr

from ledger.ids import CustomerId


class Reader:
    """Who reads by a customer's route."""

    __slots__ = ()

    @property
    def reader_id(self) -> CustomerId:
        """The customer who makes the request."""
        raise NotImplementedError

    @property
    def is_staff(self) -> bool:
        """Whether they may see what `shown_to_staff` shows."""
        raise NotImplementedError


class Owned(BaseModel):
    """An answer about what belongs to a customer. Whom it does not name does not get it."""

    # The problem that a reader gets instead.
    not_found: ClassVar[str] = "not_found"

    _owners: tuple[CustomerId | None, ...] = PrivateAttr(default=())
    _for_staff: bool = PrivateAttr(default=False)

    def owned_by(self, *owners: CustomerId | None) -> Self:
        """Name the customers whose it is, from the row.

        Taken from the request, they would hide the filter that somebody forgot.
        """
        self._owners = owners
        return self

    def shown_to_staff(self) -> Self:
        """Let staff have it as well."""
        self._for_staff = True
        return self

    @property
    def owners(self) -> tuple[CustomerId | None, ...]:
        """The customers whom it names."""
        return self._owners

    def is_for(self, reader: Reader) -> bool:
        """Whether the reader may have it."""
        return reader.reader_id in self._owners or (self._for_staff and reader.is_staff)

    def parts(self) -> Sequence["Owned"]:
        """All that must be the reader's: itself, and the items of its list that have owners of their own."""
        return (self, *_owned_items(self)) if "items" in vars(self) else (self,)


class OwnedPage(BaseModel):
    """A list, `items`, of answers with an owner each."""

    def parts(self) -> Sequence[Owned]:
        """All that must be the reader's."""
        return _owned_items(self)


class Ownerless(BaseModel):
    """An answer that holds nothing of a row with an owner, or only what everybody may know of it."""

    def parts(self) -> Sequence[Owned]:
        """Nothing of it must be the reader's."""
        return ()


Answer = Owned | OwnedPage | Ownerless


def _owned_items(answer: BaseModel) -> Sequence[Owned]:
    return [each for each in vars(answer)["items"] if isinstance(each, Owned)]
