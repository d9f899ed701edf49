"""WebSocket clients that announce no chunk, read what comes and forget it: each a thread that waits for the kernel, so that servers are measured."""

import socket
import threading
import time
from urllib.parse import urlsplit

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455's own
# A masked binary message with the mask 0: the list of held chunks that has none.
EMPTY_LIST = bytes([0x82, 0x82, 0, 0, 0, 0, 1, 0])
CLOSE, NORMAL = 0x88, (1000).to_bytes(2, "big")
LONG = {126: 2, 127: 8}  # bytes of a longer length


def receive_at_once(url, count):
    """For each of `count` clients at once: bytes of the messages, and when the first of them came."""
    received, threads = [None] * count, []
    for number in range(count):
        thread = threading.Thread(target=lambda number=number: received.__setitem__(number, receive(urlsplit(url))))
        threads.append(thread)
        thread.start()
    for thread in threads:
        thread.join()
    if None in received:
        raise RuntimeError("a client failed")
    return received


def receive(url):
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(
            f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := connection.recv(1)):
                raise RuntimeError(f"{url.path}: {head.decode()}")
            head += byte
        if b" 101 " not in head.splitlines()[0]:
            raise RuntimeError(f"{url.path}: {head.decode()}")
        connection.sendall(EMPTY_LIST)
        piece, first, length = memoryview(bytearray(256 << 10)), None, 0
        while True:
            kind, left = exactly(connection, 2)
            first = first or time.perf_counter()
            if left in LONG:
                left = int.from_bytes(exactly(connection, LONG[left]), "big")
            if kind == CLOSE:
                if (code := exactly(connection, left)[:2]) != NORMAL:
                    raise RuntimeError(f"{url.path}: closed with {int.from_bytes(code, 'big')}")
                return length, first
            length += left
            while left:
                if not (read := connection.recv_into(piece[: min(left, len(piece))])):
                    raise RuntimeError(f"{url.path}: cut off")
                left -= read


def exactly(connection, count):
    data = connection.recv(count, socket.MSG_WAITALL)
    if len(data) != count:
        raise RuntimeError("the server cut the connection")
    return data
