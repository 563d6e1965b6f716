"""Hand-off of a conversation to a person, and back: `asking`, `taking`, `relaying`, and `offering` in time."""
