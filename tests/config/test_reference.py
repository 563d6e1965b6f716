from config.reference import DEFAULT_TOML, README, TABLE_END, TABLE_START, default_toml, readme_table, with_table
from config.secret_files import file_variable
from config.settings import secret_keys, variable_of


def test_default_toml_is_the_generated_text() -> None:
    """`config/default.toml` differs in nothing from what `make reference` writes."""
    assert DEFAULT_TOML.read_text("utf-8") == default_toml()


def test_the_readme_has_the_generated_table() -> None:
    """The README's option table differs in nothing from what `make reference` writes."""
    readme = README.read_text("utf-8")
    assert readme == with_table(readme)


def test_values_are_written_as_toml() -> None:
    """Secrets are empty, lists are arrays, and the digits of large numbers are grouped."""
    text = default_toml()
    for line in ('api_key = ""', 'exempt = ["console"]', "cache_bytes = 536_870_912", "port = 8080", "allow = []"):
        assert f"\n{line}\n" in text


def test_each_option_is_below_its_description() -> None:
    """The description is a comment directly above the option, and the section's above its header."""
    assert "# CPU threads for the model; 0 uses all cores.\nthreads = 0\n" in default_toml()
    assert "# The model and the server that runs it.\n[engine]\n" in default_toml()


def test_the_table_holds_common_options_only() -> None:
    """An option appears in the README's table if it is marked as common, with its first sentence."""
    assert (
        "| `chat.max_input_tokens` | `512` | Longest message, in tokens; a longer one is refused, never cut |\n"
        in readme_table()
    )
    assert "engine.dtype" not in readme_table()


def test_the_text_around_the_table_is_kept() -> None:
    """Only what stands between the two markers is replaced."""
    assert with_table(f"a\n{TABLE_START}old\n{TABLE_END}b\n") == f"a\n{TABLE_START}{readme_table()}{TABLE_END}b\n"


def test_every_secret_names_the_variable_of_its_file() -> None:
    """The reference says of each secret, and of no other option, that it may stand in a file."""
    words = default_toml().split()
    assert [word for word in words if word.endswith("_FILE")] == [
        file_variable(variable_of(key)) for key in secret_keys()
    ]
