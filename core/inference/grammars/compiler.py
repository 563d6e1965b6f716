"""From a JSON schema to llguidance's matcher of the texts that it allows. Nothing else is imported: see `trial.py`."""

from typing import Final

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from core.inference.grammars.bounds import SchemaRefused, shortened

WHITESPACE: Final = r" |\n[ \t]{0,32}"
"""Between two parts of the JSON text: a space, or a line break and an indentation. JSON itself has no limit, so a model
could fill its reply with white space.
"""
MAX_LEXER_STATES: Final = 20_000
"""Bounds the memory of one constraint; a state takes 1 to 2 kB."""


def compile_schema(schema: str, tokenizer: LLTokenizer) -> LLMatcher:
    """A matcher at the beginning of a text. Raises SchemaRefused if there is none.

    It takes a fraction of a millisecond to some 100 ms without the GIL, and without a limit for a hostile schema.
    """
    limits = LLParserLimits(
        max_lexer_states=MAX_LEXER_STATES, precompute_large_lexemes=False, verbose_errors=False
    )  # the other limits have defaults, by which a mask takes some 30 ms at most
    try:
        grammar = LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_pattern": WHITESPACE})
    except ValueError as error:
        raise SchemaRefused(shortened(str(error))) from error
    matcher = LLMatcher(tokenizer, grammar, log_level=0, limits=limits)
    if matcher.is_error():
        raise SchemaRefused(shortened(matcher.get_error()))
    return matcher
