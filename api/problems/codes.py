"""What a problem's code means to HTTP and to people."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means: its HTTP status, its title, and an example of the detail, which is also its default."""

    status: int
    title: str
    example: str
