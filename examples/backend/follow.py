"""Prints each message of `orders`, and resumes where it stopped: after a lost connection, a crash or a reboot.

FANOUT_URL=http://localhost:8787 python3 examples/backend/follow.py orders.id
It needs Python 3.8 and nothing else. The file stores the id of the last processed event. A token, if the server
requires one, is in FANOUT_TOKEN.
"""

import os
import re
import sys
import time
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

# The server's address may begin with ws, as WebSocket clients need it.
URL = re.sub("^ws", "http", os.environ.get("FANOUT_URL", "http://localhost:8787")).rstrip("/")
TOKEN = os.environ.get("FANOUT_TOKEN")

# The server sends at least a comment every 20 seconds; after this time without any, the connection is dead.
TIMEOUT = 45


class Stopped(Exception):
    """The server refuses the stream for good."""


def parse(lines):
    """Yields each event of a stream, as a dictionary of its fields."""
    fields = {}
    for line in lines:
        text = line.decode().rstrip("\r\n")
        name, _, value = text.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if text == "":
            yield fields
            fields = {}
        elif name == "data" and "data" in fields:
            fields["data"] += "\n" + value
        elif name:  # Comments have none.
            fields[name] = value


def follow(channel, last_id=None):
    """Yields the events after `last_id`, or from now on, as (id, event, data); reconnects and resumes by itself."""
    pause = 1.0
    is_lost = False
    while True:
        headers = {"Accept": "text/event-stream"}
        if TOKEN:
            headers["Authorization"] = f"Bearer {TOKEN}"
        if last_id:
            headers["Last-Event-ID"] = last_id
        try:
            with urlopen(Request(f"{URL}/{quote(channel, safe='')}", headers=headers), timeout=TIMEOUT) as response:
                if response.status == 204:
                    raise Stopped("the token has expired")
                is_lost = False
                for fields in parse(response):
                    if "retry" in fields:  # Milliseconds; the server varies them, so that clients spread out.
                        pause = int(fields["retry"]) / 1000
                    if "data" in fields:
                        last_id = fields.get("id") or last_id
                        yield last_id, fields.get("event", "message"), fields["data"]
        except HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                raise Stopped(f"{error.code}: {error.read().decode().strip()}") from error
            reason = error
        except (OSError, HTTPException) as error:
            reason = error
        else:
            reason = "the stream has ended"
        if not is_lost:
            print(f"the connection to {URL} is lost, and will be restored: {reason}", file=sys.stderr, flush=True)
        is_lost = True
        time.sleep(pause)
        pause = min(2 * pause, 30)


def load(path):
    try:
        with open(path) as file:
            return file.read() or None
    except FileNotFoundError:
        return None


def store(path, last_id):
    """Replaces the file in one step, so that a crash leaves the old id or the new one."""
    with open(f"{path}.new", "w") as file:
        file.write(last_id)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


def main(path):
    for last_id, event, data in follow("orders", load(path)):
        if event == "orders":
            print(data, flush=True)  # Process the message here.
        elif event == "debug" and data.startswith(("gap ", "error ")):
            print(data, file=sys.stderr, flush=True)
        # Store the id last: after a crash in between, the message is processed again rather than lost.
        if last_id:
            store(path, last_id)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: follow.py <file>")
    try:
        main(sys.argv[1])
    except Stopped as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass
