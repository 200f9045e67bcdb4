"""Running one peer as a process of its own, and describing the machine it ran on."""

import json
import os
import pathlib
import platform
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Failed(Exception):
    """A peer that is not installed, or did not end well."""


def run(command, environment=None, stop_after=None, least_epochs=3, limit=600.0):
    """Runs `command` and returns (its JSON lines, wall seconds, peak resident MiB).

    With `stop_after`, the process is ended once it has printed `least_epochs` epochs and run so many
    seconds since the first of them. Peak memory is that of the process, not of its own children.
    """
    started = time.perf_counter()
    child = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
        cwd=HERE,
    )
    overdue = threading.Timer(limit, child.kill)
    overdue.start()
    errors = []
    drain = threading.Thread(target=lambda: errors.append(child.stderr.read()))
    drain.start()
    lines, ended, first_epoch = [], False, None
    for text in child.stdout:
        if not text.startswith("{"):
            continue
        lines.append(json.loads(text))
        if stop_after is None or "epoch" not in lines[-1]:
            continue
        now = time.perf_counter()
        first_epoch = first_epoch or now
        if len(lines) >= least_epochs and now - first_epoch > stop_after:
            child.terminate()
            ended = True
            break
    child.stdout.close()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    # Popen must not wait for a process that is already reaped.
    child.returncode = os.waitstatus_to_exitcode(status)
    overdue.cancel()
    drain.join()
    if child.returncode != 0 and not ended:
        last = ("".join(errors).strip().splitlines() or ["no message"])[-1]
        raise Failed(f"exit {child.returncode}: {last}")
    return lines, seconds, usage.ru_maxrss / 1024


def output(*command):
    """What a command prints, or "unknown"."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def commit():
    """The checkout's commit, marked where tracked files differ from it."""
    dirty = output("git", "status", "--porcelain", "--untracked-files=no") not in ("", "unknown")
    return output("git", "rev-parse", "--short", "HEAD") + (" with local changes" if dirty else "")


def machine():
    """One line: processor, cores in use, caches, memory, kernel."""
    processor, flags = platform.processor() or platform.machine(), ""
    memory = ""
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                processor = value.strip()
            elif key.strip() == "flags":
                flags = value
        total = int(pathlib.Path("/proc/meminfo").read_text().split()[1])
        memory = f", {total / 2**20:.0f} GiB"
    except OSError:
        pass
    widest = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    caches = []
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ["level", "type", "size"])
        if kind != "Instruction":
            caches.append(f"L{level} {size}")
    cores = len(os.sched_getaffinity(0))
    return f"{processor}, {cores} cores, {widest}, {', '.join(caches) or 'caches unknown'}{memory}, Linux {platform.release()}"


def wait_until_quiet(load, limit=300.0):
    """Waits until no more than `load` cores are busy over two seconds; gives up, and says so, after `limit`."""

    def busy():
        fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        return sum(fields) - fields[3] - fields[4], sum(fields)

    end = time.perf_counter() + limit
    while True:
        before = busy()
        time.sleep(2)
        after = busy()
        share = (after[0] - before[0]) / max(1, after[1] - before[1])
        if share * (os.cpu_count() or 1) <= load:
            return True
        if time.perf_counter() > end:
            print(f"the machine stayed busy ({share:.0%}); measuring anyway", file=sys.stderr)
            return False
