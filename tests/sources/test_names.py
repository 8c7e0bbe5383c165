"""Promises about ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from capitoline.pipelines.sources.names import LONGEST, UniqueNames, printable

ANY_TEXT = st.text(st.characters(), max_size=700)  # lone surrogates too


@given(ANY_TEXT)
def test_an_id_is_printable_bounded_and_never_climbs(name: str) -> None:
    label = printable(name)
    assert label.isprintable() and len(label) <= LONGEST
    assert ".." not in label.split("/")
    label.encode()


def test_a_plain_name_stays_as_it_is_and_a_long_one_keeps_its_beginning() -> None:
    assert printable("ordner/größe 1.jpg") == "ordner/größe 1.jpg"
    one, two = printable("x" * 600 + "1"), printable("x" * 600 + "2")
    assert one != two and one.startswith("x" * 400)


@given(st.lists(st.sampled_from(["a", "a#2", "a#3", "b", "a#2#2"]), max_size=30))
def test_names_come_out_once_and_always_the_same(names: list[str]) -> None:
    first, second = UniqueNames(), UniqueNames()
    given_names = [first(name) for name in names]
    assert len(set(given_names)) == len(names)
    assert given_names == [second(name) for name in names]
    assert all(unique == name or unique.startswith(f"{name}#") for unique, name in zip(given_names, names, strict=True))


def test_many_repetitions_of_one_name_take_linear_time() -> None:
    unique = UniqueNames()
    assert [unique("x") for _ in range(20_000)][-1] == "x#20000"


def test_the_table_grows() -> None:
    unique = UniqueNames()
    assert all(unique(f"n{number}") == f"n{number}" for number in range(5_000))
    assert all(unique(f"n{number}") == f"n{number}#2" for number in range(5_000))
