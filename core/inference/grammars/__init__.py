"""Constraints on replies, compiled from JSON schemas by llguidance."""
