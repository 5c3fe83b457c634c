"""docs/guarantees.md: every fault has its row, and every row names tests that exist."""

from __future__ import annotations

import ast
import functools
import re

import pytest

from tests.fix_database import REPOSITORY

FAULTS = range(1, 55)
PAGE = REPOSITORY / "docs" / "guarantees.md"
IMPOSSIBLE = "cannot be produced here: "


def rows() -> dict[int, list[str]]:
    """Give the cells of each row behind its number."""
    lines = [line.strip("| \n").split(" | ") for line in PAGE.read_text().splitlines() if re.match(r"\| \d+ \|", line)]
    numbers = [int(cells[0]) for cells in lines]
    assert len(numbers) == len(set(numbers)), "a number stands twice"
    return {number: cells[1:] for number, cells in zip(numbers, lines, strict=True)}


@functools.cache
def written() -> set[str]:
    """Name every test of a fault in the tree, as path::function."""
    return {
        f"{path.relative_to(REPOSITORY)}::{node.name}"
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and re.match(r"test_fault_\d\d_", node.name)
    }


def test_every_fault_has_a_row_with_every_cell() -> None:
    assert list(rows()) == list(FAULTS)
    assert all(len(cells) == 4 and all(cells) for cells in rows().values())


@pytest.mark.parametrize("number", FAULTS)
def test_a_row_names_its_tests_or_says_why_there_is_none(number: int) -> None:
    proof = rows()[number][-1]
    if proof.startswith(IMPOSSIBLE):
        return
    named = re.findall(r"`([^`]+)`", proof)
    assert named, f"row {number} names no test"
    for name in named:
        assert name in written(), f"row {number} names a test that is not there: {name}"
        assert f"::test_fault_{number:02}_" in name, f"row {number} names a test of another fault: {name}"


def test_every_test_of_a_fault_stands_in_the_table() -> None:
    named = {name for cells in rows().values() for name in re.findall(r"`([^`]+::[^`]+)`", cells[-1])}
    assert written() - named == set()
