"""Metrics of model servers are read and merged."""

from core.engine.families import merged, read_families


def test_families_are_read_whole_or_not_at_all() -> None:
    """One malformed line spoils all of a text, and what stands before it is not kept."""
    assert [family.name for family in read_families(b"a 1\nb 2\n")] == ["a", "b"]
    assert read_families(b"a 1\nb {{{ 2\n") == []


def test_the_metrics_of_several_servers_name_them() -> None:
    """Each sample has a label with its server, families are declared once, and a server that is down is told."""
    of_one = b'# TYPE parley_tokens counter\nparley_tokens_total{kind="read"} 1.0\n'
    lines = merged({"a:1": of_one, "b:2": of_one, "c:3": None, "d:4": b"x {{{"}).decode().splitlines()
    assert 'parley_tokens_total{kind="read",server="a:1"} 1.0' in lines
    assert 'parley_tokens_total{kind="read",server="b:2"} 1.0' in lines
    assert lines.count("# TYPE parley_tokens_total counter") == 1
    up = [line for line in lines if line.startswith("parley_model_server_up")]
    assert up == [
        f'parley_model_server_up{{server="{name}"}} {value}'
        for name, value in {"a:1": "1.0", "b:2": "1.0", "c:3": "0.0", "d:4": "1.0"}.items()
    ]
