#!/bin/sh
# Stores each message of `alerts` in a folder, as a file named after the message's position. After `kill -9` or a reboot,
# the next run resumes at the first message that isn't stored. In a clone:
#   FANOUT_URL=http://localhost:8787 FANOUT='node_modules/.bin/node src/cli/main.ts' sh examples/watcher/watch.sh inbox
set -eu
: "${FANOUT_URL:?set it to the server's address}"
export INBOX="${1:?usage: watch.sh <folder>}"
mkdir -p "$INBOX"

# The cursor advances when the command has succeeded. A message whose command was killed is processed again, and then
# overwrites the same file.
exec ${FANOUT:-fanout} sub "$FANOUT_URL" alerts --cursor "$INBOX/.cursor" --exec 'cat > "$INBOX/$FANOUT_POSITION"'
