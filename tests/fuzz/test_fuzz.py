"""A few mutants of each format, always the same; python tests/fuzz/run.py has as many as you like."""

import pytest
from run import DIFFERENT, FORMATS, WRONG, fuzz


@pytest.mark.parametrize("name", FORMATS)
def test_a_mutant_is_refused_in_one_line_or_changes_nothing(name):
    counted, bad = fuzz(name, mutants=24, seed=1)
    assert bad == []
    assert counted[WRONG] == 0
    assert counted[DIFFERENT] < 24
