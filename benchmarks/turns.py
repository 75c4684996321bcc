"""Candidates measured in turns, and goals printed as met or missed.

Absolute figures drift with the machine's other work; figures of the same round drift together. So
every round runs every candidate, each round begins with another one, and a candidate's figure is its
best round: the one that other work disturbed least. Time is CPU time of this process.
"""

from __future__ import annotations

import gc
import time
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Times = dict[str, list[float]]


def in_turns(candidates: Mapping[str, Callable[[], float]], rounds: int) -> Times:
    """Every candidate's figure in every round; a candidate returns one figure per call."""
    names = list(candidates)
    figures: Times = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            figures[name].append(candidates[name]())
    return figures


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process that ``work`` takes, with the garbage collector off."""
    gc.collect()
    gc.disable()
    try:
        begin = time.process_time()
        work()
        return time.process_time() - begin
    finally:
        gc.enable()


def per_call(function: Callable[[], object], calls: int) -> Callable[[], float]:
    """A candidate: microseconds of one call of ``function``, over ``calls`` in a row."""

    def repeat() -> None:
        for _ in range(calls):
            function()

    return lambda: cpu_seconds(repeat) / calls * 1e6


def print_table(title: str, figures: Times, unit: str, base: str = "", pick: Callable = min) -> None:
    """One line a candidate: best and median, and its ratio to ``base``."""
    print(f"\n{title}")
    width = max(len(name) for name in figures)
    print(
        f"  {'':{width}}  {pick.__name__ + ' ' + unit:>10}  {'median':>10}" + (f"  x {base}" if base else "")
    )
    for name, values in figures.items():
        ratio = f"  {pick(values) / pick(figures[base]):.2f}" if base else ""
        print(f"  {name:{width}}  {pick(values):10.2f}  {median(values):10.2f}{ratio}")


def print_goal(what: str, figure: float, limit: float, unit: str = "", *, at_least: bool = False) -> None:
    """One line: the figure, the goal, and whether it is met."""
    met = figure >= limit if at_least else figure <= limit
    sign = ">=" if at_least else "<="
    print(f"  goal: {what} {sign} {limit:g}{unit}: {figure:.2f}{unit} -> {'met' if met else 'missed'}")
