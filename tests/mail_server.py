"""A mail server for tests."""

import asyncio


class MailServer:
    """A server that speaks as much SMTP as a client needs."""

    def __init__(self, *, refuses: int | None = None) -> None:
        self.received: list[bytes] = []
        self._refuses = refuses

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := (await reader.readline()).strip():
            command = line.split(b" ")[0].split(b":")[0].upper()
            if command == b"RCPT" and b"ada@" in line and self._refuses:
                writer.write(b"%d no ada@example.com here\r\n" % self._refuses)
            elif command == b"DATA":
                writer.write(b"354 go on\r\n")
                self.received.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 taken\r\n")
            elif command == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()
