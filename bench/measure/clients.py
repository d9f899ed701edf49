"""Many clients at once: each asks for the same resource over a connection of its own."""

import asyncio
from urllib.parse import urlsplit


def get_at_once(url, count, pause=0.0):
    """`count` concurrent GETs; with a pause, each reads 64 KiB at a time and waits between. The bytes of each body."""
    return asyncio.run(all_of(url, count, pause))


async def all_of(url, count, pause):
    return await asyncio.gather(*(body_length(urlsplit(url), pause) for _ in range(count)))


async def body_length(url, pause):
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    request = f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"{url.path}: {status.decode()}")
    while (await reader.readline()).strip():
        pass
    length = 0
    while piece := await reader.read(64 << 10):
        length += len(piece)
        await asyncio.sleep(pause)
    writer.close()
    return length
