"""The article's constants, and what they do."""

import numpy as np
import pytest

from workbench.anomalies.presets import presets
from workbench.errors import UsageError


def test_the_articles_constants_flag_what_they_say_and_each_has_its_reproach() -> None:
    article = presets()["article"]
    assert all(member.wrong for member in article.members)
    assert all(why for _, why in article.constants.values())
    assert article["rolling z"].flags(np.array([[2.9, 3.1, np.nan]])).tolist() == [[False, True, False]]
    scores = np.random.default_rng(0).random((3, 1000))
    assert article["forest"].flags(scores).mean() == pytest.approx(0.1, abs=0.001)
    assert not article["forest"].flags(np.full((1, 4), np.nan)).any()


def test_the_article_flags_as_much_where_nothing_is_wrong() -> None:
    healthy = np.random.default_rng(1).normal(size=(5, 2000))
    assert presets()["article"]["forest"].flags(healthy).mean() == pytest.approx(0.1, abs=0.001)


def test_our_defaults_have_no_constant_to_flag_by() -> None:
    default = presets()["default"]
    names = [member.detector.name for member in default.members]
    assert len(set(names)) == len(names) == 6
    for member in default.members:
        with pytest.raises(UsageError, match="has no fixed limit"):
            member.flags(np.zeros((1, 2)))
    with pytest.raises(UsageError, match="did you mean 'forest'"):
        default["forrest"]
