"""minidl against Keras and PyTorch on this machine: `python -m benchmarks`.

Each library is a *peer* with a process of its own. The peers take turns, A B A B, so that whatever disturbs the machine
disturbs all of them, and only one computes at a time. What is reported is the ratio peer / minidl within each round.

Reading order: networks, peers/, worker (in a peer's process), processes and turns (in this one), subjects, run;
summary, targets, report and pictures turn the results into tables.
"""
