"""Announces an update of an order, safely: repeated under the same key, it is announced once.

FANOUT_URL=http://localhost:8787 python3 examples/backend/announce.py 7 shipped
It needs Python 3.8 and nothing else. A token, if the server requires one, is in FANOUT_TOKEN.
"""

import json
import os
import re
import sys
import time
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

# The server's address may begin with ws, as WebSocket clients need it.
URL = re.sub("^ws", "http", os.environ.get("FANOUT_URL", "http://localhost:8787")).rstrip("/")
TOKEN = os.environ.get("FANOUT_TOKEN")

# Seconds before each further attempt.
PAUSES = [0.5, 1, 2, 4, 8]


def announce(channel, message, key):
    """Announces a message, and returns its position. Raises HTTPError if the server refuses it, or OSError if it can't
    be reached; in both cases, announcing it later with the same key is safe."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "Idempotency-Key": key}
    if TOKEN:
        headers["Authorization"] = f"Bearer {TOKEN}"
    # json.dumps writes one line; a body of several lines would be several messages.
    body = json.dumps(message).encode()
    request = Request(f"{URL}/{quote(channel, safe='')}", data=body, headers=headers, method="POST")
    for pause in [*PAUSES, None]:
        try:
            with urlopen(request, timeout=10) as response:
                return json.load(response)["position"]
        except OSError as error:
            # An HTTPError is an OSError, too. These statuses say that a later attempt can succeed.
            is_temporary = not isinstance(error, HTTPError) or error.code in (408, 429) or error.code >= 500
            if pause is None or not is_temporary:
                raise
        time.sleep(pause)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: announce.py <order> <status>")
    order, status = sys.argv[1:]
    try:
        # A key stands for one update: the next status of this order needs another key.
        print(announce("orders", {"id": order, "status": status}, key=f"order-{order}-{status}"))
    except HTTPError as error:
        sys.exit(f"refused ({error.code} {error.headers['Fanout-Error']}): {error.read().decode().strip()}")
    except OSError as error:
        sys.exit(f"{URL} can't be reached: {error}")
