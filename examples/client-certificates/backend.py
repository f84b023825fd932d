#!/usr/bin/env python3
"""A server behind the load balancer: greets clients of one organisation, and prints what it was told of them.

    GET /health    200, for the load balancer
    GET /          200 to O=Example Corp, OU=Login; 403 to everybody else
    GET /headers   the request's headers, one `NAME: VALUE` a line

It trusts the headers, so nobody but the load balancer may reach it.
"""

import argparse
import http.server
import ssl
import sys

ORGANISATION = ("O", "Example Corp")
UNIT = ("OU", "Login")


def attributes(name):
    """Splits a name as RFC 2253 writes it, CN=a\\, b+OU=c,O=d, into pairs of type and value."""
    pairs, part, escaped = [], "", False
    for character in name + ",":
        if escaped:
            part, escaped = part + character, False
        elif character == "\\":
            escaped = True
        elif character in ",+":
            kind, equals, value = part.partition("=")
            if not equals:
                return []
            pairs.append((kind.strip(), value))
            part = ""
        else:
            part += character
    return pairs


def is_ours(subject):
    """Whether a client is of ours: exactly one organisation and one unit, and the right ones."""
    pairs = attributes(subject)
    named = [pair for pair in pairs if pair[0] in ("O", "OU")]
    return sorted(named) == sorted([ORGANISATION, UNIT])


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answers GET; a header that comes twice was not set by the load balancer alone."""
        subjects = self.headers.get_all(self.server.subject_header, [])
        path = self.path.partition("?")[0]
        if path == "/health":
            self.answer(200, "healthy\n")
        elif path == "/headers":
            self.answer(200, "".join(f"{name}: {value}\n" for name, value in self.headers.items()))
        elif len(subjects) == 1 and is_ours(subjects[0]):
            self.answer(200, f"Hello, {subjects[0]}\n")
        else:
            self.answer(403, f"You are not of {ORGANISATION[1]}, {UNIT[1]}.\n")

    def answer(self, status, text):
        """Sends a page."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Logs nothing: the load balancer does."""


def main():
    """Serves until it is stopped; says where on standard output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 for any that is free")
    parser.add_argument("--subject-header", default="X-Client-Subject")
    parser.add_argument("--certificate", help="PEM; with --key the server speaks HTTPS")
    parser.add_argument("--key", help="PEM")
    options = parser.parse_args()
    server = http.server.ThreadingHTTPServer((options.address, options.port), Handler)
    server.subject_header = options.subject_header
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(f"{options.address}:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
