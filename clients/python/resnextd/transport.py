"""Kept connections to one server, for any number of threads."""
from __future__ import annotations

import http.client
import socket
import threading
import time
from dataclasses import dataclass
from typing import List, Mapping, Optional
from urllib.parse import urlsplit

from .errors import Unreachable


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Transport:
    """Sends requests to http://HOST[:PORT][/PREFIX], https://… or unix:PATH."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        parts.port  # raises ValueError if it is none
        if parts.scheme not in ("http", "https", "unix") or not (parts.netloc or parts.path):
            raise ValueError(f"{url!r} is no address; give http://HOST:PORT, https://HOST:PORT or unix:PATH")
        self._parts = parts
        self._prefix = "" if parts.scheme == "unix" else parts.path.rstrip("/")
        self._idle: List[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        parts = self._parts
        if parts.scheme == "unix":
            return _UnixConnection(parts.path, timeout)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=timeout)

    def _take(self) -> Optional[http.client.HTTPConnection]:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def close(self) -> None:
        """Ends the connections that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, method: str, target: str,
                  body: Optional[bytes], headers: Mapping[str, str]) -> Answer:
        try:
            connection.request(method, self._prefix + target, body, dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            pass  # a server that has seen enough answers before it has read all
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        if response.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.append(connection)
        return answer

    def ask(self, method: str, target: str, body: Optional[bytes], headers: Mapping[str, str],
            deadline: float) -> Answer:
        """One request. A kept connection may have been closed meanwhile; then a new one is tried."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unreachable(f"{self._parts.geturl()}: no time is left")
            connection = self._take()
            kept = connection is not None
            if connection is None:
                connection = self._open(left)
            elif connection.sock:
                connection.sock.settimeout(left)
            try:
                return self._exchange(connection, method, target, body, headers)
            except (OSError, http.client.HTTPException, UnicodeError) as reason:  # the last: no host's name
                connection.close()
                gone = isinstance(reason, (http.client.RemoteDisconnected, ConnectionError))
                if not (kept and gone):
                    raise Unreachable(f"{self._parts.geturl()}: {reason or type(reason).__name__}") from reason
            except BaseException:
                connection.close()
                raise
