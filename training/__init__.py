"""The embedded model: seed texts, corpus generator and training recipe. The bot does not need this package to run."""
