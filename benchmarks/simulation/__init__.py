"""A discrete-event model of many people, gateways, model servers and one database. It is pure: no network, no files."""
