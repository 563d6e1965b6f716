"""Rendering a model's template: what it is given, and what its errors become."""

from datetime import date

import pytest

from core.errors import ModelDamaged, RolesRefused
from core.inference.tokens.rendering import open_template

TODAY = date(2026, 3, 1)


def rendered(source: str, *roles: str) -> str:
    return open_template(source, {"bos_token": "<s>"}, "x")(roles, [f"text of {role}" for role in roles], TODAY)


def test_what_a_template_is_given() -> None:
    """Messages, special tokens, the date and the options of transformers, with thinking switched off."""
    assert rendered("{{ bos_token }}{{ eos_token }}{{ messages[0].role }}: {{ messages[0].content }}", "user") == (
        "<s>user: text of user"
    )
    assert rendered("{{ strftime_now('%d %b %Y') }}") == "01 Mar 2026"
    assert rendered("{{ [add_generation_prompt, enable_thinking, thinking, tools, documents] }}") == (
        "[True, False, False, None, None]"
    )


def test_marks_of_replies_and_loop_controls_are_accepted() -> None:
    """Templates may mark the reply for training and leave loops: both are extensions of jinja2."""
    source = "{% for m in messages %}{% generation %}{{ m.role }}{%- endgeneration -%}{% break %}{% endfor %}"
    assert rendered(source, "user", "assistant") == "user"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ raise_exception('users first') }}", "users first"),
        ("{{ messages[9].content.x }}", "undefined|no element"),
        ("{{ 1 / 0 }}", "division"),
        ("{{ messages + 1 }}", "list"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "not safely callable|append"),
    ],
)
def test_errors_of_a_template(source: str, reason: str) -> None:
    """Whatever a template raises while it renders becomes RolesRefused; the sandbox keeps it from everything else."""
    with pytest.raises(RolesRefused, match=reason):
        rendered(source, "user")


def test_a_text_that_is_no_template() -> None:
    """A syntax error raises ModelDamaged at the start."""
    with pytest.raises(ModelDamaged, match="not valid"):
        open_template("{% for %}", {}, "x")


LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% set x = 1 %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (LOOP, "runs too long"),
        ("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}", "runs too long"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{% for a in range(99999) %}" + "x" * 100 + "{% endfor %}", "writes too much"),
        ("{{ 'x' * 1000000000 }}", "too large a value"),
        ("{{ 1000000000 * [1] }}", "too large a value"),
        ("{{ 9 ** 9 ** 9 ** 9 }}", "too large a value"),
        (
            "{% set n = namespace(x=10) %}{% for i in range(40) %}{% set n.x = n.x * n.x %}{% endfor %}",
            "too large a value",
        ),
        ("{{ '%999999999d' % 1 }}", "too large a value"),
        ("{{ 'x' | center(1000000000000000000) }}", "rejects user"),  # MemoryError
    ],
)
def test_a_template_without_end_is_stopped(source: str, reason: str) -> None:
    """Endless loops and recursion, endless output and huge values end with a reason, in time and memory."""
    with pytest.raises(RolesRefused, match=reason):
        rendered(source, "user")


@pytest.mark.parametrize("source", ["{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "x" * (1 << 20)])
def test_a_template_that_cannot_be_compiled_is_refused(source: str) -> None:
    """Deep nesting, and a source far longer than any model's, are damage of the model."""
    with pytest.raises(ModelDamaged):
        rendered(source, "user")


def test_small_arithmetic_is_allowed() -> None:
    """Templates count messages and repeat marks."""
    assert rendered("{{ messages|length % 2 }}{{ '-' * 3 }}{{ 2 * 3 }}{{ '%02d' % 7 }}", "user") == "1---607"
