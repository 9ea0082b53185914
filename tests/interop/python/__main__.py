"""Runs every scenario with every kind of stomp.py client and prints one line for each.

    python <this folder> [PART OF A CLIENT'S NAME [PART OF A SCENARIO'S NAME]]

First `plan N`, then N lines `ok - CLIENT: SCENARIO` or `not ok - ...`, in a fixed order.
Does not know: how the server was started (../run).
"""

import logging
import os
import queue
import sys
import threading
import traceback

from clients import Failure, clients, helper
from scenarios import SCENARIOS, Stage

# Seconds for one scenario, and how many run at a time. Heart-beats run before the others, where no busy neighbour makes them late.
LIMIT = 20
AT_A_TIME = 4


def main():
    logging.disable(logging.CRITICAL)
    client_part, scenario_part = (sys.argv[1:] + ["", ""])[:2]
    runs = [
        Run(number, client, scenario)
        for number, (client, scenario) in enumerate(
            (client, scenario) for client in clients() for scenario in SCENARIOS
        )
        if client_part in run_name(client, "") and scenario_part in scenario[0] and not client.lacks & set(scenario[2])
    ]
    say(f"plan {len(runs)}")
    quiet = [run for run in runs if "heart-beat" in run.needs]
    busy = [run for run in runs if "heart-beat" not in run.needs]
    printer = threading.Thread(target=lambda: [run.report() for run in runs])
    printer.start()
    for group, at_a_time in ((quiet, len(quiet)), (busy, AT_A_TIME)):
        in_parallel(group, at_a_time)
    printer.join()
    # Without waiting for threads of a client that hangs.
    sys.stdout.flush()
    os._exit(any(run.failure for run in runs))


class Run:
    """One scenario with one kind of client."""

    def __init__(self, number, client, scenario):
        name, self._act, self.needs = scenario
        self._name = run_name(client, name)
        self._stage = Stage(client, helper(), f"py{number}-{os.getpid()}")
        self._over = threading.Event()
        self.failure = None

    def perform(self):
        result = queue.Queue()
        threading.Thread(target=lambda: result.put(self._outcome()), daemon=True).start()
        try:
            self.failure = result.get(timeout=LIMIT)
        except queue.Empty:
            self.failure = f"not over within {LIMIT} s"
        self._stage.clear()
        self._over.set()

    def report(self):
        self._over.wait()
        say(f"not ok - {self._name}\n{indented(self.failure)}" if self.failure else f"ok - {self._name}")

    def _outcome(self):
        try:
            self._act(self._stage)
        except Failure as failure:
            return str(failure) or "failed"
        except Exception:
            return traceback.format_exc()
        return None


def in_parallel(runs, at_a_time):
    waiting = queue.Queue()
    for run in runs:
        waiting.put(run)

    def work():
        while True:
            try:
                run = waiting.get_nowait()
            except queue.Empty:
                return
            run.perform()

    workers = [threading.Thread(target=work) for _ in range(at_a_time)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def run_name(client, scenario):
    return f"{client.name}: {scenario}"


def indented(text):
    return "\n".join(f"#   {line}" for line in text.splitlines())


def say(text):
    print(text, flush=True)


main()
