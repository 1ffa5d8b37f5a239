"""Connections that say nothing, or do not come to an end, are closed; others go on."""

import asyncio

import pytest

from equipoise.serve.connections import impatient

HEAD = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 6\r\n\r\n"
LARGE = 50_000_000
"""Bytes of an answer that fills every buffer on the way."""


async def answering(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    body = bytes(LARGE) if scope["path"] == "/large" else body
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


async def talked(parts, seconds, *, pause=0.0, most=1 << 16, limit=1 << 16):
    """Send parts with pauses to a server of this protocol; return all it says until it hangs up."""
    import uvicorn
    from uvicorn.server import ServerState

    config = uvicorn.Config(answering, lifespan="off", timeout_keep_alive=60)
    config.load()
    kind = impatient(seconds, most)
    loop = asyncio.get_running_loop()
    made = []

    def protocol():
        made.append(kind(config=config, server_state=ServerState(), app_state={}))
        return made[-1]

    server = await loop.create_server(protocol, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname()[:2], limit=limit
        )
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            return await asyncio.wait_for(reader.read(), 20)
        except ConnectionError:
            return b""
        finally:
            writer.close()


@pytest.mark.parametrize("parts", [[], [HEAD[:20]], [HEAD[:20], b"x", b"y"]])
def test_a_connection_whose_head_does_not_come_is_closed(parts):
    assert asyncio.run(talked(parts, 0.2)) == b""


def test_a_head_without_end_is_cut_off():
    parts = [HEAD[:-2], *[b"X-More: " + b"x" * 1000 + b"\r\n"] * 200]
    assert asyncio.run(talked(parts, 60.0, pause=0.001, most=20_000)) == b""


def test_a_second_head_that_does_not_come_is_cut_off_too():
    found = asyncio.run(talked([HEAD + b"abcdef", HEAD[:20]], 0.2, pause=0.05))
    assert found.count(b"200 OK") == 1


@pytest.mark.slow
def test_a_body_may_take_longer_than_a_head():
    parts = [HEAD, *(bytes([letter]) for letter in b"abcdef"), HEAD[:9], HEAD[9:] + b"uvwxyz"]
    found = asyncio.run(talked([*parts, b"P"], 0.3, pause=0.1))
    assert found.count(b"200 OK") == 2
    assert found.endswith(b"uvwxyz")


@pytest.mark.slow
def test_an_answer_that_nobody_reads_is_not_kept_for_ever():
    large = b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    whole = asyncio.run(talked([large], 60.0))
    assert len(whole) > LARGE
    # The caller's stream stops to read at its limit, and goes on after the pause.
    cut = asyncio.run(talked([large], 0.2, pause=1.0, limit=1))
    assert len(cut) < LARGE
