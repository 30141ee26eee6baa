"""Cursors: the position of the last item in its list, signed, and opaque to clients."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from api.http.problems import Problem
from database.paging import Page, Place

T = TypeVar("T")

_SIGNATURE_BYTES = 12


def next_cursor(page: Page[T], place: Callable[[T], str]) -> str | None:
    """The cursor of the next page, from the position of this one's last item. None: this page is the last."""
    return place(page.items[-1]) if page.has_more else None


@dataclass(frozen=True, slots=True)
class Cursors:
    """Signs cursors for the list that they belong to, and reads no others.

    All processes of one API share the keys. The first one signs, all of them read. Whatever is no cursor of this list
    raises the problem `cursor_invalid`: also an empty one, since a client that sends it would read the first page
    again and again.
    """

    keys: tuple[bytes, ...]

    @classmethod
    def from_secrets(cls, *secrets: str) -> "Cursors":
        """With keys of its own, derived from secrets that serve something else."""
        return cls(tuple(hmac.digest(secret.encode(), b"cursors", hashlib.sha256) for secret in secrets))

    def sign(self, of_list: str, *parts: object) -> str:
        """The cursor after the item with this position."""
        text = "|".join(map(str, parts)).encode()
        return base64.urlsafe_b64encode(_signature(self.keys[0], of_list, text) + text).decode().rstrip("=")

    def read(self, of_list: str, cursor: str) -> list[str]:
        """The position in a cursor of this list."""
        try:
            found = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except (binascii.Error, ValueError) as error:
            raise Problem("cursor_invalid") from error
        signature, text = found[:_SIGNATURE_BYTES], found[_SIGNATURE_BYTES:]
        if not any(hmac.compare_digest(signature, _signature(key, of_list, text)) for key in self.keys):
            raise Problem("cursor_invalid")
        return text.decode().split("|")

    def sign_place(self, of_list: str, moment: datetime, id_: str) -> str:
        """The cursor after an item of a list that is sorted by time and id."""
        return self.sign(of_list, moment.isoformat(), id_)

    def read_place(self, of_list: str, cursor: str | None) -> Place | None:
        """The time and id in such a cursor. None: the list begins."""
        if cursor is None:
            return None
        moment, id_ = self.read(of_list, cursor)
        return datetime.fromisoformat(moment), id_


def _signature(key: bytes, of_list: str, text: bytes) -> bytes:
    return hmac.digest(key, of_list.encode() + b"|" + text, hashlib.sha256)[:_SIGNATURE_BYTES]
