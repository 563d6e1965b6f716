"""Options for tests: Parley's defaults with changes, such as `limits_with(burst=3)`.

Turns run one at a time here unless `slots` says otherwise, so that their order is known.
The environment changes nothing.
"""

from dataclasses import replace
from functools import partial

from config.options import chat_options, limits, model_child, openai_server, worker_options
from config.settings import Settings

_SETTINGS = Settings.model_construct()

limits_with = partial(replace, limits(_SETTINGS), slots=1)
unthrottled_with = partial(limits_with, per_minute=6e6, burst=10**9)
"""Nobody is too fast, however long a transaction waits between its `now` and its turn."""
worker_with = partial(replace, worker_options(_SETTINGS, owner="me"), slots=1)
chat_with = partial(replace, chat_options(_SETTINGS))
reply_with = partial(replace, chat_options(_SETTINGS).reply)
child_with = partial(replace, model_child(_SETTINGS))
server_with = partial(replace, openai_server(_SETTINGS.engine, "http://localhost/v1"))
