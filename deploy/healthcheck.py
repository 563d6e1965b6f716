"""The image's health check: ends with status 0 if /health answers. No proxy of the environment is in between."""

import os
import sys
from http.client import HTTPConnection, HTTPException

SECONDS = 4

if __name__ == "__main__":
    connection = HTTPConnection("127.0.0.1", int(os.environ["PARLEY_WEB__PORT"]), timeout=SECONDS)
    try:
        connection.request("GET", "/health")
        sys.exit(connection.getresponse().status != 200)  # noqa: PLR2004  OK
    except (OSError, HTTPException) as error:
        sys.exit(f"no answer: {error}")
