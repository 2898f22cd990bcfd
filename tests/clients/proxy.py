"""A server in front of the daemon that answers the first requests itself and passes on the others."""
import contextlib
import socket
import threading

import wire


def busy(retry_after=1):
    """The bytes of a 503."""
    body = b'{"error":{"code":"overloaded","message":"the queue is full","status":503},"request_id":"a"}'
    head = (f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: {retry_after}\r\n"
            f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n\r\n")
    return head.encode() + body


class Proxy:
    """`answers` are the bytes of the first answers; b"" closes the connection instead. `requests` are
    the heads that came, `connections` how many."""

    def __init__(self, daemon, answers=()):
        self.daemon, self.answers = daemon, list(answers)
        self.requests, self.connections = [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, client.makefile("rb") as stream, contextlib.suppress(OSError, wire.Closed):
            while head := self._head(stream):
                length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                               if line.startswith(b"content-length:")), 0)
                body = stream.read(length)
                self.requests.append(head.decode("latin-1"))
                if not self.answers:
                    client.sendall(self._pass_on(head + body))
                elif answer := self.answers.pop(0):
                    client.sendall(answer)
                else:
                    return

    def _head(self, stream):
        head = b""
        while (line := stream.readline()) not in (b"\r\n", b""):
            head += line
        return head + line if head else b""

    def _pass_on(self, request):
        with self.daemon.connect() as back:
            back.send(request)
            answer = back.read()
        head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n"
        head += "".join(f"{n}: {v}\r\n" for n, v in answer.headers)
        return head.encode("latin-1") + b"\r\n" + answer.body
