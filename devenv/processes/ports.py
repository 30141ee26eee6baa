"""TCP ports: which are free, and which process holds the others."""

import asyncio
import random
import socket
import textwrap
from contextlib import suppress

import psutil

from devenv.errors import StackError

LOCALHOST = "127.0.0.1"
SHOWN_COMMAND_CHARACTERS = 80


def is_free(port: int, host: str = LOCALHOST) -> bool:
    """Whether a server could listen on the port now. As for servers, connections in TIME_WAIT do not count."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StackError(f"{host} is no address of this machine: {error.strerror}.") from error
    family = found[0][0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A free port below the range of outgoing connections, so that it is likely to be free after a restart as well."""
    for _ in range(1000):
        port = random.randint(20_000, 32_000)  # noqa: S311 - not a secret
        if is_free(port):
            return port
    raise StackError("No free TCP port between 20000 and 32000 on 127.0.0.1.")


def holder(port: int) -> str:
    """The process that listens on the port, for messages: `python3 -m http.server (pid 4711)`.

    The operating system hides the processes of other users; then it is `a process of another user`.
    """
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr[1:] == (port,):
                return described(connection.pid)
    return "a process of another user"


def described(pid: int) -> str:
    """The process for messages: its command, shortened, and its pid."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        command = " ".join(process.cmdline()) or process.name()
        return f"{textwrap.shorten(command, SHOWN_COMMAND_CHARACTERS, placeholder=' …')} (pid {pid})"
    return f"pid {pid}"


def check_free(port: int, variable: str, what: str, host: str = LOCALHOST) -> None:
    """Raises StackError naming the holder of the port and the environment variable that chooses another."""
    if not is_free(port, host):
        raise StackError(
            f"Port {port} for {what} is taken by {holder(port)}: stop it, or set {variable} to another port."
        )


async def answers(port: int, host: str = LOCALHOST) -> bool:
    """Whether a server accepts connections on the port."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 2)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def gone(port: int, host: str = LOCALHOST) -> None:
    """Return once nothing listens on the port: the system closes a killed server's sockets a moment after its end."""
    while await answers(port, host):  # noqa: ASYNC110 - the server is another process
        await asyncio.sleep(0.05)
