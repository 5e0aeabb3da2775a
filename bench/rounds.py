"""How the peers are asked: a round is some runs, timed one by one, and each round prints one JSON object."""

import json
import statistics
import sys
import time


def add_flags(parser, modes):
    parser.add_argument("--mode", choices=modes, default=modes[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm-up", type=int, default=2, help="runs before the first round")
    parser.add_argument("--runs", type=int, default=5, help="runs of a round")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ask", action="store_true", help="a round for each line of standard input, instead of --rounds")


def serve(args, version, prepare, run, parts=1):
    """`prepare` makes what `run` takes, and is not timed; told is the time of one of the `parts` of a run."""

    def timed():
        given = prepare()
        begin = time.perf_counter()
        run(*given)
        return 1e3 * (time.perf_counter() - begin) / parts

    for _ in range(args.warm_up):
        timed()
    print(json.dumps({"ready": True, "version": version}), flush=True)
    for _ in sys.stdin if args.ask else range(args.rounds):
        timed()  # wakes the threads, which may have slept since the last round
        times = [timed() for _ in range(args.runs)]
        print(json.dumps({"mode": args.mode, "ms": statistics.median(times), "runs": len(times)}), flush=True)
