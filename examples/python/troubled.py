#!/usr/bin/env python3
"""The registry of registry.py with one trouble, to see what the suite says of it.

    conform run --exec 'python3 examples/python/troubled.py lying'

dead ends after 100 requests. slow answers renewals after a minute. lying says of a release that it
was done, and does nothing. garbage prints a line that is no response, as a forgotten print does.

Three are the registry of stored.py. denying says that nothing happened when an answer was lost.
forgetful answers before the journal's line is written. rounding keeps tokens as floating point.
"""

import os
import sys
import time

from registry import Adapter, Refused
from stored import Journal, Network, StoredAdapter, StoredRegistry, unheard


class Dead(Adapter):
    requests = 0

    def operate(self, q):
        self.requests += 1
        if self.requests > 100:
            os._exit(1)
        return super().operate(q)


class Slow(Adapter):
    def operate(self, q):
        if q["op"] == "Renew":
            time.sleep(60)
        return super().operate(q)

    def serve(self, lines):
        def and_end():
            yield from lines
            os._exit(0)  # the suite has left; nobody waits for a sleeper

        super().serve(and_end())


class Lying(Adapter):
    def operate(self, q):
        if q["op"] == "Release":
            return {}
        return super().operate(q)


class Garbage(Adapter):
    def operate(self, q):
        if q["op"] == "Transfer":
            with self.writing:
                print("transferring", q["actor"], flush=True)
        return super().operate(q)


class DenyingNetwork(Network):
    def lose_answer(self, request):
        unheard(request)
        raise Refused("ErrUnavailable", "connection reset")


class Denying(StoredAdapter):
    new_network = DenyingNetwork


class ForgetfulJournal(Journal):
    """Writes each change with the next one."""

    waiting = None

    def write(self, change):
        if self.waiting:
            super().write(self.waiting)
        self.waiting = change


class Forgetful(StoredAdapter):
    new_journal = ForgetfulJournal


class RoundingRegistry(StoredRegistry):
    def grant(self, *tenure):
        record = super().grant(*tenure)
        record["token"] = min(int(float(record["token"])), 2**64 - 1)
        return record


class Rounding(StoredAdapter):
    new_registry = RoundingRegistry


KINDS = {
    "dead": Dead, "slow": Slow, "lying": Lying, "garbage": Garbage,
    "denying": Denying, "forgetful": Forgetful, "rounding": Rounding,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](sys.stdout).serve(sys.stdin)
