"""YAML that remembers its lines."""

from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.errors import SettingsError
from workbench.settings import load
from workbench.settings.file import MOST_VALUES, FromEnvironment, dotted, read

Write = Callable[[str | bytes], Path]


@pytest.fixture
def profile(tmp_path: Path) -> Write:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "x.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def fault(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path, environment={})
    line = str(caught.value).splitlines()[0]
    return line.removeprefix(f"{path}:")


def test_each_key_knows_its_line_and_its_text(profile: Write) -> None:
    file = read(profile("a: 1\nb:\n  - c: x\n  - d: [0x10, yes]\n"), {})
    assert file.data == {"a": 1, "b": [{"c": "x"}, {"d": [16, True]}]}
    assert file.line(("b", 1, "d")) == 4
    assert file.line(("b", 1, "nothing")) == 4
    assert file.texts[("b", 1, "d", 0)] == "0x10"
    assert dotted(("b", 1, "d", 0)) == "b[1].d[0]"


def test_keys_are_text_even_where_yaml_sees_a_number_or_a_switch(profile: Write) -> None:
    assert read(profile("units: {0123: a, yes: b, 2025-11-01: c}"), {}).data == {
        "units": {"0123": "a", "yes": "b", "2025-11-01": "c"}
    }


def test_only_a_lone_variable_counts_as_from_the_environment(profile: Write) -> None:
    file = read(profile("a: ${A}\nb: ${A}x\nc: ${A:-d}\nd: '${A}'\n"), {"A": "v"})
    assert file.data == {"a": "v", "b": "vx", "c": "v", "d": "v"}
    assert [isinstance(file.data[key], FromEnvironment) for key in "abcd"] == [True, False, False, True]


def test_what_a_variable_holds_is_not_read_as_yaml_or_filled_again(profile: Write) -> None:
    assert read(profile("a: ${A}"), {"A": "${B}: [1"}).data == {"a": "${B}: [1"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "1: the profile is empty; it needs at least `sources:`"),
        ("# only words\n", "1: the profile is empty; it needs at least `sources:`"),
        ("- a\n", "1: the profile holds no `key: value` lines at its top; it needs at least `sources:`"),
        ("a: [1\nb: 2\n", "2: not valid YAML at column 2: expected ',' or ']', but got ':'"),
        ("a: 1\n\tb: 2\n", "2: not valid YAML at column 1: found character '\\t' that cannot start any token"),
        ("a: 1\n--- \nb: 2\n", "2: not valid YAML at column 1: but found another document"),
        (
            "a: !!python/object:os.system x\n",
            "1: a: YAML tags (`!…`) and a bare `=` are not read; write plain text, in quotes if it has such signs",
        ),
        ("a: \x00\n", "1: not valid YAML: it has a character that YAML does not allow"),
        (b"\xff\xfea: 1", "1: is no UTF-8 text (byte 0); save it as UTF-8"),
        ("<<: {a: 1}\n", "1: a key must be plain text; `<<`, lists and mappings are not read as keys"),
        ("? [a]\n: 1\n", "1: a key must be plain text; `<<`, lists and mappings are not read as keys"),
        ("a" * 1_000_001, "1: 1,000,001 bytes; a profile has at most 1,000,000. Is this the right file?"),
        ("a: " + "[" * 5_000, "1: is nested too deeply to be a profile"),
    ],
)
def test_what_is_no_profile_is_told_in_one_line(profile: Write, content: str | bytes, expected: str) -> None:
    told = fault(profile(content))
    assert told == expected


def test_aliases_that_multiply_are_stopped(profile: Write) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    told = fault(profile("\n".join(lines)))
    assert f"more than {MOST_VALUES:,} values" in told


def test_an_alias_to_itself_is_stopped(profile: Write) -> None:
    assert "20 levels" in fault(profile("a: &a [*a]"))


def test_an_alias_that_is_harmless_is_followed(profile: Write) -> None:
    assert read(profile("a: &a [x]\nb: *a\n"), {}).data == {"a": ["x"], "b": ["x"]}


def test_a_profile_written_on_windows_reads_the_same(profile: Write) -> None:
    assert read(profile(b"\xef\xbb\xbfa: 1\r\nb: x\r\n"), {}).data == {"a": 1, "b": "x"}
