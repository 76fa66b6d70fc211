"""The command line of the fuzzer. Exit 1 if something was found; the input and what was said of it lie in the findings directory."""

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.supervise import Plan, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Feed mutated captures to the reader and the decoder.")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="directory with captures to mutate")
    parser.add_argument("--findings", type=Path, default=Path("out/fuzz"), help="where inputs that broke something are kept")
    options = parser.parse_args()
    began_s = time.monotonic()
    report = run(Plan(options.seed, options.minutes * 60, options.findings, options.corpus))
    took_s = time.monotonic() - began_s
    print(
        f"{report.executions} inputs in {took_s:.0f} s, {report.refused} refused as a whole, {report.packets} packets decoded, "
        f"{len(report.findings)} findings"
    )
    for finding in report.findings:
        last_line = finding.said.strip().splitlines()[-1] if finding.said.strip() else "said nothing"
        print(f"{finding.kind} at input {finding.number}: {finding.reproducer}: {last_line}")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
