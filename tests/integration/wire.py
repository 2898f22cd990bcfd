"""HTTP on a raw socket, strict about what it reads and free in what it sends."""
import re
import select
import socket

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


class ProtocolError(Exception):
    """The answer is not well-formed HTTP/1.1."""


class Closed(Exception):
    """The server closed or reset the connection instead of answering."""


class Response:
    """One answer: status, headers as (lower-case name, value) pairs, body."""

    def __init__(self, version, status, reason, headers):
        self.version, self.status, self.reason, self.headers = version, status, reason, headers
        self.body = b""
        self.interim = []

    def header(self, name):
        """The only value of a header, None if it is absent; twice is an error."""
        values = [v for n, v in self.headers if n == name.lower()]
        if len(values) > 1:
            raise ProtocolError(f"header {name} came {len(values)} times")
        return values[0] if values else None

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


def raw(lines, body=b""):
    """Request bytes from the lines of a head."""
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def request(method, target, headers=(), body=None, host="test", version="HTTP/1.1"):
    """The bytes of a request; Content-Length is added when there is a body."""
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return raw(lines, body or b"")


def chunked(body, size):
    """The body in chunks of `size` bytes, with the last chunk."""
    pieces = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def multipart(parts, boundary="PPPP-boundary", end=True):
    """The body of multipart/form-data; a part is (field, file name or None, type or None, bytes)."""
    out = []
    for field, filename, kind, data in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"'
        head += f'; filename="{filename}"' if filename is not None else ""
        head += f"\r\nContent-Type: {kind}" if kind else ""
        out.append(head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + data + b"\r\n")
    return b"".join(out) + (f"--{boundary}--\r\n".encode() if end else b"")


def form_type(boundary="PPPP-boundary"):
    return ("Content-Type", f"multipart/form-data; boundary={boundary}")


class Connection:
    """A client connection to ("HOST", PORT) or a unix path, over TLS if there is a context for it,
    from the address `source` of this host if one is given. `with` closes it."""

    def __init__(self, address, timeout, receive_buffer=None, tls=None, source=None):
        family = socket.AF_UNIX if isinstance(address, str) else (
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        if family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            if source:
                self.sock.bind((source, 0))
            self.sock.connect(address)
            if tls:
                self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        except BaseException:
            self.sock.close()
            raise
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with RST, as a crashed client's kernel would."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def try_send(self, data):
        """Sends as much as the server takes; False if it closed before the end."""
        try:
            self.sock.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def _more(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(f"closed after {self.buffer[:200]!r}")
        self.buffer += data

    def _line(self):
        while b"\r\n" not in self.buffer:
            if len(self.buffer) > 65536:
                raise ProtocolError("a line without an end")
            self._more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _exactly(self, n):
        while len(self.buffer) < n:
            self._more()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def _until_close(self):
        try:
            while True:
                self._more()
        except Closed:
            data, self.buffer = self.buffer, b""
            return data

    def _headers(self):
        headers = []
        while line := self._line():
            name, colon, value = line.partition(b":")
            if not colon or not TOKEN.match(name):
                raise ProtocolError(f"header line {line!r}")
            headers.append((name.decode().lower(), value.strip().decode("latin-1")))
        return headers

    def _chunks(self):
        body = b""
        while size := int(self._line().split(b";")[0], 16):
            body += self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise ProtocolError("a chunk without its end")
        self._headers()
        return body

    def _head(self):
        line = self._line()
        match = re.fullmatch(rb"(HTTP/1\.[01]) ([1-5]\d\d) ([^\r\n]*)", line)
        if not match:
            raise ProtocolError(f"status line {line!r}")
        return Response(match[1].decode(), int(match[2]), match[3].decode(), self._headers())

    def interim(self):
        """The status of the next head, which is expected to be a 100."""
        return self._head().status

    def read(self, method="GET"):
        """The next final answer; interim ones (100) are kept in .interim."""
        interim = []
        while (response := self._head()).status < 200:
            interim.append(response.status)
        response.interim = interim
        length, coding = response.header("content-length"), response.header("transfer-encoding")
        if method == "HEAD" or response.status in (204, 304):
            pass
        elif coding:
            if coding.lower() != "chunked" or length is not None:
                raise ProtocolError(f"framing {response.headers}")
            response.body = self._chunks()
        elif length is not None:
            response.body = self._exactly(int(length))
        else:
            response.body = self._until_close()
        return response

    def ask(self, method, target, headers=(), body=None, **more):
        """Sends one request and reads its answer."""
        self.try_send(request(method, target, headers, body, **more))
        return self.read(method)

    def status(self):
        """Of a request on it, or of what was left to read; None if it is closed without any."""
        try:
            return self.ask("GET", "/livez").status
        except Closed:
            return None

    def closed_within(self, seconds):
        """True once the server has closed; what it still says is read and dropped. A host that stands
        still takes a tenth of the time at most."""
        self.sock.settimeout(seconds / 10)
        for _ in range(10):
            try:
                while self.sock.recv(65536):
                    pass
                return True
            except (ConnectionResetError, BrokenPipeError):
                return True
            except (TimeoutError, socket.timeout):
                pass
        return False

    def silent(self):
        """Whether nothing has come that was not read, the end of the connection included."""
        return not self.buffer and not select.select([self.sock], [], [], 0)[0]
