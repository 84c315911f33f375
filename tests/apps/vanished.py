"""An app that says how long it bears a client that has gone silent, as socket options of what it accepts.

`vanished.py PORT FILE` answers each request and says to FILE when a connection ended, and of what. `/endless` is
answered without an end.
"""

import socket
import sys
import threading
import time

KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2),
]
USER_TIMEOUT = [(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 3000)]


def serve(connection, say):
    path = "?"
    try:
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                received = connection.recv(4096)
                if not received:
                    return say(path, "end")
                head += received
            path = head.split(b" ")[1].decode()
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            if path != "/endless":
                connection.sendall(b"content-length: 3\r\n\r\nAPP")
                continue
            connection.sendall(b"connection: close\r\n\r\n")
            while True:
                connection.sendall(b"a")
                time.sleep(0.1)
    except OSError as error:
        say(path, error.strerror)
    finally:
        connection.close()


def main():
    port, file = int(sys.argv[1]), open(sys.argv[2], "a", buffering=1)
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        connection, _ = listener.accept()
        for option in KEEPALIVE + USER_TIMEOUT:
            connection.setsockopt(*option)
        say = lambda path, why: file.write(f"{path} {why}\n")
        threading.Thread(target=serve, args=(connection, say), daemon=True).start()


main()
