"""Sign in through the browser and print an access token, with nothing but Python's standard library.

    TOKEN=$(python3 docs/sign_in.py http://127.0.0.1:8000)

This is the whole authorization code flow with PKCE, as any program on a user's own machine does it (RFC 8252).
"""  # noqa: INP001 - a program to read and to run by itself

import base64
import hashlib
import http.server
import json
import secrets
import sys
import urllib.parse
import urllib.request
import webbrowser

CLIENT = "reelgraph-console"
"""The client that every installation has. It is public, and may come back to any port of this machine."""


class Callback(http.server.BaseHTTPRequestHandler):
    """Takes the browser back, with the code in its address."""

    answer: dict[str, str]

    def do_GET(self) -> None:
        """Keep the answer and send the person back to the terminal."""
        Callback.answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"Done. You can close this page and go back to the terminal.\n")

    def log_message(self, *_: object) -> None:
        """Say nothing: standard output is for the token."""


def main(url: str) -> None:
    """Run the flow against the server at this address."""
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with http.server.HTTPServer(("127.0.0.1", 0), Callback) as server:
        redirect_uri = f"http://127.0.0.1:{server.server_port}/callback"
        asked = {
            "response_type": "code",
            "client_id": CLIENT,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        page = f"{url}/oauth/authorize?{urllib.parse.urlencode(asked)}"
        print(f"If no browser opens, open this page:\n{page}", file=sys.stderr, flush=True)  # noqa: T201 - a program
        webbrowser.open(page)
        server.handle_request()
    if Callback.answer.get("state") != state or "code" not in Callback.answer:
        sys.exit(f"not signed in: {Callback.answer.get('error', 'this answer was for somebody else')}")
    form = {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "redirect_uri": redirect_uri,
        "code": Callback.answer["code"],
        "code_verifier": verifier,
    }
    with urllib.request.urlopen(f"{url}/oauth/token", urllib.parse.urlencode(form).encode()) as response:  # noqa: S310 - the user's own server
        print(json.load(response)["access_token"])  # noqa: T201 - a program


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:8000")
