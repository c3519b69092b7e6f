"""Notebooks and settings in a folder of their own."""

import sys
from pathlib import Path

import pytest

from workbench.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))

from books import settings_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a project that is this test's own."""
    return settings_in(tmp_path)
