"""Profile PPO steps of this project by operator; prints a line of JSON with those that take most time themselves."""

import json

from torch.profiler import ProfilerActivity, profile

from benchmarks.step import arguments, prepared

SHOWN = 12


def main() -> None:
    steps = prepared(**arguments("operators", __doc__))
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in steps:
            pass
    rows = sorted(profiler.key_averages(), key=lambda row: row.self_cpu_time_total, reverse=True)
    total = sum(row.self_cpu_time_total for row in rows)
    top = [
        {
            "operator": row.key,
            "calls": row.count,
            "seconds": row.self_cpu_time_total / 1e6,
            "share": row.self_cpu_time_total / total,
        }
        for row in rows[:SHOWN]
    ]
    print(json.dumps({"seconds": total / 1e6, "operators": top}))


if __name__ == "__main__":
    main()
