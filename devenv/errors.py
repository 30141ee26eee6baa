"""The one error this room raises."""


class StackError(Exception):
    """The embedded stack cannot start or go on.

    The message is written for the person at the terminal: what is wrong, in one line, and what to do about it.
    Lines after the first, if any, are the end of a server's log. Callers print it and exit with 1, without a trace.
    """
