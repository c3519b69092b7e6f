"""What `import workbench` offers."""

import subprocess
import sys

import workbench


def test_the_list_of_public_names_is_complete_and_each_can_be_had() -> None:
    assert sorted(workbench.__all__) == sorted(workbench._WHERE)
    for name in workbench.__all__:
        assert getattr(workbench, name) is not None
        assert name in dir(workbench)


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = {"polars", "pandas", "snowflake.connector", "tensorflow", "papermill", "altair", "nbconvert", "duckdb"}
    code = f"import sys, workbench; print({heavy!r} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_the_help_of_the_command_imports_nothing_heavy_either() -> None:
    code = (
        "import sys, contextlib, io\nfrom workbench import cli\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n    cli.main(['--help'])\n"
        "print({'polars', 'pandas', 'snowflake.connector', 'tensorflow', 'papermill', 'altair'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_units_stand_in_the_help_of_what_users_call_first() -> None:
    assert "UTC" in (workbench.__doc__ or "")
    assert "currency" in (workbench.Bill.by.__doc__ or "")
    assert "exact" in (workbench.Workbench.costs.__doc__ or "")
