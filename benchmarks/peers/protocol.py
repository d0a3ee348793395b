"""The worker's side of a conversation: commands on stdin, answers on stdout, JSON a line each.

A worker is a process in which one system trains or decodes. It needs nothing but Python's own
library and torch, since it also runs in the environment of the peers.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = dict[str, Any]
Answer = dict[str, Any]


class Channel:
    """Commands and answers; whatever else a toolkit writes to stdout goes to stderr."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def next(self) -> Command:
        """The next command; without one the process ends at once, whatever it is in."""
        line = sys.stdin.readline()
        if not line:
            sys.stderr.flush()
            os._exit(0)
        command: Command = json.loads(line)
        return command

    def answer(self, answer: Answer) -> None:
        """Say what came of the last command."""
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()


def peak_megabytes() -> float:
    """Largest resident memory of this process so far, in MB."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


class Meter:
    """Counts the steps of a training loop, and lets it stand still between commands.

    The loop is the toolkit's own and knows nothing of it: it only calls ``step`` after each update.

    Args:
        channel: commands ``train`` (seconds) and ``save`` come from there.
        parameters: of the model, told in each answer.
        save: writes the model.
    """

    def __init__(self, channel: Channel, parameters: int, save: Callable[[], None]) -> None:
        self._channel, self._parameters, self._save = channel, parameters, save
        self._seconds = -1.0
        self._start()

    def _start(self) -> None:
        self._tokens = self._sentences = self._updates = 0
        self._began = time.perf_counter()

    def step(self, tokens: int, sentences: int, updates: int = 1) -> None:
        """After an update, or after several.

        Args:
            tokens: real target tokens that were learnt, eos counted.
            sentences: that were learnt.
            updates: since the last call.
        """
        self._tokens += tokens
        self._sentences += sentences
        self._updates += updates
        if self._seconds < 0:  # the first call comes before any command
            self._wait()
        elif time.perf_counter() - self._began >= self._seconds:
            self._tell()
            self._wait()

    def end(self) -> None:
        """The loop is over."""
        self._tell()
        self._wait()

    def _tell(self) -> None:
        self._channel.answer(
            {
                "seconds": time.perf_counter() - self._began,
                "tokens": self._tokens,
                "sentences": self._sentences,
                "updates": self._updates,
                "parameters": self._parameters,
                "megabytes": peak_megabytes(),
            }
        )

    def _wait(self) -> None:
        """Until there is something to train again."""
        while True:
            command = self._channel.next()
            if command["do"] == "train":
                self._seconds = float(command["seconds"])
                self._start()
                return
            self._save()
            self._channel.answer({})


def serve_decoding(
    channel: Channel, decode: Callable[[list[Any], int, int], list[list[int]]]
) -> None:
    """Answer commands ``decode`` (sources, beam, batch) until there are no more.

    Args:
        channel: where they come from.
        decode: translates sources with a width of beam and sentences in a batch; gives the tokens
            of each translation, without eos.
    """
    while True:
        command = channel.next()
        began = time.perf_counter()
        found = decode(command["sources"], command["beam"], command["batch"])
        spent = time.perf_counter() - began
        channel.answer({"seconds": spent, "outputs": found, "megabytes": peak_megabytes()})


Task = Callable[[dict[str, Any], Channel], None]


def serve(train: Task, decode: Task) -> None:
    """Do what the worker was started for: the JSON object that is its only argument tells."""
    import torch

    work, channel = json.loads(sys.argv[1]), Channel()
    torch.set_num_threads(work["threads"])
    {"train": train, "decode": decode}[work["task"]](work, channel)
