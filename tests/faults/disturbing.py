"""Carries a kill schedule out on a job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import psutil

from tests.faults.corpus import Corpus
from tests.faults.jobs import ENDED, PATIENCE, Run, descendants, running, strike, wait_until
from tests.faults.moments import Watch
from tests.faults.nodes import Nodes
from tests.faults.schedule import Schedule, Setting, Strike, Victim

FATAL = {Victim.DRIVER, Victim.GCS}
"""Without these a job cannot go on; it survives the others without being started again."""
OF_ITS_OWN = {Setting.PROCESS, Setting.LOCAL}
"""Here all processes of a job are its driver's descendants; elsewhere they are the cluster's."""
TITLES = {
    Victim.ACTOR: "Actor",  # Ray calls its workers ray::LaneActor, ray::NodeActor.run …
    Victim.DECODER: "capitoline.modalities.decoding.decoder_process",
    Victim.GCS: "gcs_server",
}


def run_disturbed(schedule: Schedule, arguments: Sequence[str], out: Path, corpus: Corpus, nodes: Nodes) -> int:
    """Runs the job until all kills have fallen or it has ended, again after each kill that ended it.

    Returns how many fell.
    """
    fallen, waiting = 0, list(schedule.strikes)
    while waiting:
        victims: set[Victim] = set()
        with running(arguments) as run:
            while waiting and not victims & FATAL and run.process.poll() is None:
                one = waiting.pop(0)
                if _strike(one, run, out, corpus, nodes, schedule):
                    victims.add(one.victim)
                    fallen += 1
            ended = run.ended()
        if ended.code in ENDED:
            break
        assert victims & FATAL, f"the job did not survive {victims or 'undisturbed'}: {ended}"
    return fallen


def _strike(one: Strike, run: Run, out: Path, corpus: Corpus, nodes: Nodes, schedule: Schedule) -> bool:
    """Waits for the moment and kills the victim; False if the job ended before."""
    watch = Watch(one.moment, out, corpus.media)
    try:
        if not watch.wait(one.count, run.process, PATIENCE):
            return False
    finally:
        watch.close()
    time.sleep(one.pause)
    if one.victim is Victim.NODE:
        nodes.kill()
    elif one.victim is Victim.DRIVER:
        run.kill()
    else:
        roots = [run.process.pid] if schedule.setting in OF_ITS_OWN else nodes.raylets()
        candidates = _candidates(one.victim, roots, run)
        if not candidates:
            return False
        strike([Random(schedule.seed).choice(candidates)])
    return True


def _candidates(victim: Victim, roots: list[int], run: Run) -> list[psutil.Process]:
    """Waits for such processes; there are none if the job ended before."""
    found: list[psutil.Process] = []

    def there() -> bool:
        found[:] = descendants(roots, TITLES[victim])
        return bool(found) or run.process.poll() is not None

    wait_until(there, f"a process of the {victim}")
    return found
