"""Makes tables of figures: what was measured, and how far each requirement is met."""

import models

US, LLAMA, NATIVE = "oarlock avx2", "llama.cpp AVX2", "llama.cpp native"


def named(key):
    name, bits = key.split()
    return f"{models.NAMES[name]} {bits}"


def figures(results):
    """Every median as a table in Markdown; tokens a second, seconds, megabytes."""
    lines = ["| model | test | who | figures |", "|---|---|---|---|"]
    for key, tests in results.items():
        for test, sides in tests.items():
            for side, values in sides.items():
                shown = ", ".join(f"{figure} {value:.4g}" for figure, value in values.items())
                lines.append(f"| {named(key)} | {test} | {side} | {shown} |")
    return "\n".join(lines) + "\n"


def best(sides):
    return sides.get("oarlock best", sides[US])


def speed(bits, sides):
    """(what, ratio, at least) of one test of speed."""
    mine, best_of_ours = sides[US], best(sides)
    if LLAMA in sides:
        yield "decode / llama.cpp AVX2", mine["decode"] / sides[LLAMA]["decode"], 2.2
        yield "prefill / llama.cpp AVX2", mine["prefill"] / sides[LLAMA]["prefill"], 3.0 if bits == "int4" else 2.2
    if NATIVE in sides:
        yield "decode / llama.cpp native", best_of_ours["decode"] / sides[NATIVE]["decode"], 2.0
        yield "prefill / llama.cpp native", best_of_ours["prefill"] / sides[NATIVE]["prefill"], 2.0
    if "candle" in sides:
        yield "decode / candle", best_of_ours["decode"] / sides["candle"]["decode"], 6.0


def long(name, sides, short):
    mine = sides[US]["prefill"]
    yield "prefill of 4,096 / llama.cpp AVX2", mine / sides[LLAMA]["prefill"], 3.0
    if short:
        yield "prefill of 4,096 / of 512", mine / short[US]["prefill"], 0.55 if name == "smollm2" else 0.7


def test_bars(key, test, sides, tests):
    name, bits = key.split()
    kind, _, threads = test.partition(" ")
    if kind == "speed":
        yield from speed(bits, sides)
        if name != "smollm2":
            yield "decode: weights / memory read", sides[US]["weights"] / sides[US]["read"], 0.8
    elif kind == "long":
        yield from long(name, sides, tests.get(f"speed {threads}"))
    elif kind == "start":
        yield "first token: llama.cpp / ours", sides[LLAMA]["first"] / sides[US]["first"], 5.0
    elif kind == "memory":
        most = 0.55 if bits == "int4" else 0.9
        yield "memory: llama.cpp / ours", sides[LLAMA]["memory"] / sides[US]["memory"], 1 / most
    elif kind == "threads":
        few, many = sides.values()
        yield "decode: twice as many threads as cores", many["decode"] / few["decode"], 0.8


def bars(results):
    """(model, threads, what, ratio, at least) of everything that was measured."""
    rows = []
    for key, tests in results.items():
        for test, sides in tests.items():
            threads = test.partition(" ")[2]
            rows += [(named(key), threads, *bar) for bar in test_bars(key, test, sides, tests)]
    return rows


def table(rows):
    lines = ["| model | threads | | ratio | at least | |", "|---|---|---|---|---|---|"]
    for model, threads, what, ratio, least in rows:
        met = "met" if ratio >= least else "**not met**"
        lines.append(f"| {model} | {threads} | {what} | {ratio:.2f} | {least:.2f} | {met} |")
    return "\n".join(lines) + "\n"
