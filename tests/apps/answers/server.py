# What an application on Python's own server can say: python3 server.py ADDRESS PORT
import http.server
import socket
import sys

CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, lines, body=b"hello", status=200):
        self.send_response(status)
        for name, value in lines:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        length, chunked = ("Content-Length", "5"), ("Transfer-Encoding", "chunked")
        match self.path:
            case "/chunks-in-HTTP-1.0":
                self.protocol_version, self.close_connection = "HTTP/1.0", True
                self.answer([chunked], CHUNKS)
            case "/the-length-twice":
                self.answer([length, length])
            case "/both-lengths":
                self.answer([length, chunked], CHUNKS)
            case "/two-different-lengths":
                self.answer([length, ("Content-Length", "6")])
                self.close_connection = True
            case "/blanks-behind-a-chunk-size":
                self.answer([chunked], b"5   \r\nhello\r\n0 \r\n\r\n")
            case "/a-blank-behind-chunked":
                self.answer([("Transfer-Encoding", "chunked ")], CHUNKS)
            case "/control-characters":
                self.answer([("X-Odd", "\x01\x1b[1m"), length])
            case "/an-odd-name":
                self.answer([("X[odd]", "a"), length])
            case "/140-cookies":
                self.answer([("Set-Cookie", f"cookie-{i}=value") for i in range(140)] + [length])
            case "/a-head-of-70-KiB":
                self.answer([(f"X-{i}", "a" * 1024) for i in range(70)] + [length])
            case "/204-in-chunks":
                self.answer([chunked], b"0\r\n\r\n", 204)
            case _:
                self.answer([length])

    # Says no before it has the body, and would go on with the connection.
    def handle_expect_100(self):
        self.answer([("Content-Length", "2")], b"no", 401)
        return False

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
