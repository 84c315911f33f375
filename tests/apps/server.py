"""An ordinary server with blocking sockets: says its name and whom it sees, and sends bodies back."""

import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME, HOST, PORT, *FLAGS = sys.argv[1:]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        host, port = self.connection.getpeername()[:2]
        self.answer(f"{NAME} [{host}]:{port}".encode() if ":" in host else f"{NAME} {host}:{port}".encode())

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["content-length"])))

    def answer(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in HOST else socket.AF_INET
    request_queue_size = 1024
    allow_reuse_address = "plain" not in FLAGS
    allow_reuse_port = "reuseport" in FLAGS

    def server_bind(self):
        if HOST == "::":
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if self.allow_reuse_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


"".encode("idna")  # loaded on first use, which another user may not
for flag in FLAGS:
    if flag.startswith("uid="):
        os.setuid(int(flag[4:]))
Server((HOST, int(PORT)), Handler).serve_forever()
