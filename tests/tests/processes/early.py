"""Asks for what is refused before its body is read, and demands the answer each time.

http.client sends a request's head and body by themselves: were the connection closed before the
body has come, it would fail with a broken pipe instead of giving the answer.

Arguments: `unix:PATH` or `HOST:PORT`, then JSON: a list of
{method, path, headers, body (how many bytes), status}. Each is asked 50 times.
"""

import http.client
import json
import socket
import sys

TRIES = 50


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("muster", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def connection(where):
    if where.startswith("unix:"):
        return Unix(where.removeprefix("unix:"))
    return http.client.HTTPConnection(where, timeout=60)


def ask(where, request):
    one = connection(where)
    try:
        body = b"x" * request["body"]
        one.request(request["method"], request["path"], body, request["headers"])
        answer = one.getresponse()
        text = answer.read()
        if answer.status != request["status"]:
            return f"{answer.status} {text!r}"
        # The connection must be good for another request, unless the answer said that it is not.
        if not answer.will_close:
            one.request("GET", "/healthz")
            if one.getresponse().read() != b"ok\n":
                return "the next request on the connection failed"
        return None
    except OSError as error:
        return repr(error)
    finally:
        one.close()


failed = False
for request in json.loads(sys.argv[2]):
    told = [why for why in (ask(sys.argv[1], request) for _ in range(TRIES)) if why]
    if told:
        failed = True
        print(f"{request}: {len(told)} of {TRIES} tries failed, such as {told[0]}", file=sys.stderr)
sys.exit(failed)
