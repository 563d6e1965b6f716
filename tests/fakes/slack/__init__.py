"""A Slack on a loopback socket, in its own process: Web API, Socket Mode, HTTP events, and a journal.

Faithful to what is known of the real one: events come again until they are acknowledged, a mention comes twice, the
bot hears itself, a post cannot be taken back or recognised when it is repeated. `python -m tests.fakes.slack`.
"""
