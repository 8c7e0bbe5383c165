"""Kill schedules: who is killed at which moment of a job, drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.faults.moments import Moment


class Victim(StrEnum):
    """Who is killed."""

    DRIVER = "driver"
    ACTOR = "actor"
    """A process of experts: a lane or, in split pools, the actor of one node of the graph."""
    DECODER = "decoder"
    NODE = "node"
    """A machine of the cluster with all its processes."""
    GCS = "gcs"
    """The process in which a Ray of the job's own knows its nodes and actors."""


class Setting(StrEnum):
    """How the job runs."""

    PROCESS = "process"
    FUSED = "fused"
    """Lanes, on the cluster."""
    SPLIT = "split"
    """A pool for each node of the graph, on the cluster."""
    LOCAL = "local"
    """Lanes, on a Ray of the job's own."""


SETTINGS = {
    Victim.DRIVER: tuple(Setting),
    Victim.ACTOR: (Setting.FUSED, Setting.SPLIT, Setting.LOCAL),
    Victim.DECODER: tuple(Setting),
    Victim.NODE: (Setting.FUSED, Setting.SPLIT),
    Victim.GCS: (Setting.LOCAL,),
}
COUNTS = {Moment.SCAN: 1, Moment.DECODE: 16, Moment.RATING: 16, Moment.COMMIT: 6, Moment.BETWEEN: 6}
"""Most times that a moment is let pass before the kill, so few that it comes in the shortest job."""
LONGEST_PAUSE = 0.1
"""Seconds between a moment and its kill."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One kill."""

    victim: Victim
    moment: Moment
    count: int
    """The kill falls when the moment comes for this time, counted from the start of the run or the last strike."""
    pause: float
    """Seconds after it."""

    def __str__(self) -> str:
        return f"the {self.victim} {self.pause * 1000:.0f} ms after {self.moment} {self.count}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The kills of one job."""

    seed: int
    setting: Setting
    strikes: tuple[Strike, ...]

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.setting}: kill {', then '.join(map(str, self.strikes))}"


def drawn(seed: int) -> Schedule:
    """The schedule of a seed. First victims take turns, so that ten seeds in a row have each of them twice."""
    random = Random(seed)
    first = list(Victim)[seed % len(Victim)]
    setting = random.choice(SETTINGS[first])
    victims = [first, *random.choices(_victims(setting), k=random.choice((0, 0, 1, 2)))]
    return Schedule(seed, setting, tuple(_strike(random, victim, _moments(victim)) for victim in victims))


def drawn_for(setting: Setting, count: int, seed: int) -> Schedule:
    """So many kills in one setting, none of them during the scan: most follow another in the same run."""
    random = Random(seed)
    victims = random.choices(_victims(setting), k=count)
    moments = [moment for moment in Moment if moment is not Moment.SCAN]
    return Schedule(seed, setting, tuple(_strike(random, victim, moments) for victim in victims))


def _victims(setting: Setting) -> list[Victim]:
    return [victim for victim in Victim if setting in SETTINGS[victim]]


def _moments(victim: Victim) -> list[Moment]:
    """While the scan runs there is no process of the job but its driver."""
    return [moment for moment in Moment if moment is not Moment.SCAN or victim is Victim.DRIVER]


def _strike(random: Random, victim: Victim, moments: Sequence[Moment]) -> Strike:
    moment = random.choice(moments)
    pause = random.choice((0.0, random.uniform(0, LONGEST_PAUSE)))
    return Strike(victim, moment, random.randint(1, COUNTS[moment]), pause)
