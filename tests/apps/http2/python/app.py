"""What server.js does, as an application for hypercorn, whose HTTP/2 is the library h2: NAME is in the environment."""

import os

NAME = os.environ["NAME"].encode()


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    path, body, count, more = scope["path"], NAME, 0, True
    if path == "/bytes":
        left = int(scope["query_string"])
        while left > 0:
            piece = b"\7" * min(left, 1 << 16)
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        body = b""
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        count += len(event.get("body", b""))
        more = event.get("more_body", False)
        if path == "/echo":
            await send({"type": "http.response.body", "body": event.get("body", b""), "more_body": True})
    if path == "/count":
        body = b"%s %d" % (NAME, count)
    await send({"type": "http.response.body", "body": b"" if path == "/echo" else body})
