"""The embedded model: its seeds, its corpus and its recipe. Nothing here is needed to run the bot."""
