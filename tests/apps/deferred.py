"""A server that hears of a client with its first bytes (TCP_DEFER_ACCEPT), and closes at once when it has none."""

import socket
import sys
import threading


def serve(connection):
    with connection, connection.makefile("rb") as requests:
        while requests.readline():
            length = 0
            while (line := requests.readline().strip()):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            requests.read(length)
            body = b"STABLE"
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


listener = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 10)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
