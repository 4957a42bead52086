"""One seed decides everything random."""

import pytest

from minidl.randomness import current_seed, generator, seed


@pytest.fixture(autouse=True)
def _seed_is_put_back():
    before = current_seed()
    yield
    seed(before)


def test_the_same_seed_gives_the_same_numbers():
    seed(3)
    first = generator().random(4).tolist()
    assert generator().random(4).tolist() != first
    seed(3)
    assert generator().random(4).tolist() == first
    seed(4)
    assert generator().random(4).tolist() != first


def test_current_seed_is_the_last_one_given():
    seed(17)
    assert current_seed() == 17


@pytest.mark.parametrize("number", [-1, 1.5, None, "1"])
def test_what_is_no_seed_is_refused(number):
    seed(5)
    with pytest.raises(ValueError, match="seed: expected a whole number, 0 or more"):
        seed(number)
    assert current_seed() == 5
