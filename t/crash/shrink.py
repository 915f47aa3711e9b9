#!/usr/bin/python3
"""The fewest steps of a failing run of the model test that still fail.

usage: shrink.py CHECK_MODEL SEED STEP

SEED and STEP are those the failing run printed. Halves are left out, then
quarters, and so on down to single steps (delta debugging); what remains is
printed as QUIRE_KEEP and as the run's last words.
"""
import os
import subprocess
import sys

program, seed, last = sys.argv[1], sys.argv[2], int(sys.argv[3])


def ranges(steps):
    out, i = [], 0
    while i < len(steps):
        k = i
        while k + 1 < len(steps) and steps[k + 1] == steps[k] + 1:
            k += 1
        out.append("%d-%d" % (steps[i], steps[k]) if k > i else "%d" % steps[i])
        i = k + 1
    return ",".join(out)


def run(steps):
    # comparisons stand at fixed places: the run goes on to the next one
    env = dict(os.environ, QUIRE_SEED=seed, QUIRE_STEPS=str((last // 40 + 1) * 40), QUIRE_KEEP=ranges(steps))
    out = subprocess.run([program], env=env, capture_output=True, text=True).stdout
    return next((line for line in out.splitlines() if line.startswith("not ok")), None)


steps = list(range(last + 1))
words = run(steps)
if words is None:
    sys.exit("it does not fail")
size = max(1, len(steps) // 2)
while True:
    i = 0
    while i < len(steps):
        fewer = steps[:i] + steps[i + size :]
        said = run(fewer) if fewer else None
        if said is not None:
            steps, words = fewer, said
        else:
            i += size
    if size == 1:
        break
    size = max(1, size // 2)
print("QUIRE_SEED=%s QUIRE_KEEP=%s" % (seed, ranges(steps)))
print("%d steps: %s" % (len(steps), words))
