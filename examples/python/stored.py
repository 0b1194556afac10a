#!/usr/bin/env python3
"""The registry of registry.py on a journal on disk, with the powers of the protocol's second version.

    conform run --exec 'python3 examples/python/stored.py'

It can be crashed and started again (`restart`), made to fail as a store behind a network fails
(`faults`), and given state with large numbers (`seed`), so that the suite's sections durable, faults
and extremes judge it as they judge a registry in Go.
"""

import json
import os
import random
import sys
import tempfile
import threading

from registry import Adapter, Refused, Registry

MUTATING = {"Claim", "Renew", "Release", "Transfer", "RegisterNode", "Heartbeat", "MarkFailed", "DeregisterNode"}


class Table(dict):
    """A dictionary that has every change on disk before it shows it."""

    def __init__(self, name, journal):
        super().__init__()
        self.name, self.journal = name, journal

    def __setitem__(self, key, row):
        self.journal.write([self.name, key, row])
        super().__setitem__(key, row)


class Journal:
    """A file of lines, one a change."""

    def __init__(self, path):
        self.path = path
        self.file = open(path, "ab")

    def write(self, change):
        if self.file is None:  # the process was killed while this request was under way
            raise Refused("ErrUnavailable", "the process has ended")
        self.file.write(json.dumps(change).encode() + b"\n")
        self.file.flush()
        os.fdatasync(self.file.fileno())

    def kill(self):
        self.file.close()
        self.file = None

    def changes(self):
        with open(self.path, "rb") as lines:
            for line in lines:
                yield json.loads(line)


class StoredRegistry(Registry):
    """The contract, on disk."""

    def __init__(self, config, journal):
        super().__init__(config)
        self.records, self.nodes = Table("records", journal), Table("nodes", journal)
        self.journal = journal
        for name, key, row in journal.changes():
            if name == "records":
                key, row["actor"] = tuple(key), tuple(row["actor"])
                row["holder"] = tuple(row["holder"]) if row["holder"] else None
            dict.__setitem__(getattr(self, name), key, row)

    def kill(self):
        """No operation that is under way finds the journal open."""
        with self.lock:
            self.journal.kill()

    def seed(self, nodes, records):
        with self.lock:
            for n in nodes:
                ref = n["ref"]
                self.nodes[ref["id"]] = {
                    "id": ref["id"], "epoch": int(ref["epoch"]), "address": n.get("address", ""),
                    "status": n["status"], "last_seen": int(n["last_seen"]),
                }
            for r in records:
                actor, holder = (r["actor"]["namespace"], r["actor"]["name"]), r.get("holder")
                self.records[actor] = {
                    "actor": actor, "holder": (holder["id"], int(holder["epoch"])) if holder else None,
                    "token": int(r["token"]), "version": int(r["version"]), "expiry": int(r["expiry"]),
                    "claim_id": r.get("claim_id"),
                }


class Network:
    """What lies between an adapter and its registry: each attempt to write may suffer a fault.

    Whatever happens, the caller is told the truth: that nothing happened, that the outcome is unknown
    and settled, or that the request may yet arrive.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.faults, self.draw = None, None
        self.delayed = []  # requests whose callers were told that they may still apply

    def set(self, faults):
        with self.lock:
            self.faults, self.draw = faults, random.Random(int(faults["seed"]))

    def attempt(self, q, request):
        with self.lock:
            arriving, self.delayed = self.delayed, []
            for delayed in arriving:
                unheard(delayed)
            if self.faults is None:
                return request()
            p = self.draw.random()
            for fault, suffer in (
                ("unavailable", self.refuse), ("lost_request", self.lose_request),
                ("lost_answer", self.lose_answer), ("late", self.delay),
            ):
                p -= self.faults[fault]
                if p < 0:
                    q["fault"] = fault  # the adapter tells it, for the text of a conviction
                    return suffer(request)
            return request()

    def refuse(self, request):
        raise Refused("ErrUnavailable", "the store refuses to work")

    def lose_request(self, request):
        raise Refused("ErrAmbiguous", "connection reset")

    def lose_answer(self, request):
        unheard(request)
        raise Refused("ErrAmbiguous", "connection reset")

    def delay(self, request):
        self.delayed.append(request)
        raise Refused("ErrAmbiguous", "no answer in time", may_still_apply=True)


def unheard(request):
    """Carries a request out whose caller does not hear the answer."""
    try:
        request()
    except Refused:
        pass


class StoredAdapter(Adapter):
    """The adapter, with a journal and a network for each cluster."""

    greeting = {"version": 2, "name": "python-stored", "capabilities": ["restart", "faults", "seed"]}
    new_network, new_journal, new_registry = Network, Journal, StoredRegistry

    def __init__(self, out):
        super().__init__(out)
        self.networks = {}  # by cluster
        self.folder = tempfile.TemporaryDirectory()

    def control(self, q):
        name = q.get("cluster")
        if q["op"] == "New":
            path = os.path.join(self.folder.name, name)
            self.clusters[name] = self.new_registry(q["config"], self.new_journal(path))
            self.networks[self.clusters[name]] = self.new_network()
        elif q["op"] == "Drop":
            gone = self.clusters.pop(name)
            del self.networks[gone]
            gone.kill()
            os.remove(gone.journal.path)
        elif q["op"] == "Restart":
            self.restart(name)
        elif q["op"] == "Faults":
            self.networks[self.clusters[name]].set(q["faults"])
        elif q["op"] == "Seed":
            self.clusters[name].seed(q.get("nodes", []), q.get("records", []))
        else:
            return super().control(q)
        return True

    def restart(self, name):
        """Ends the cluster's registry without a chance to flush, and reads the journal anew."""
        dead = self.clusters[name]
        dead.kill()
        for handle, registry in self.handles.items():
            if registry is dead:
                self.handles[handle] = None
        del self.networks[dead]
        self.clusters[name] = self.new_registry(dead.config, self.new_journal(dead.journal.path))
        self.networks[self.clusters[name]] = self.new_network()

    def carry_out(self, q, registry, request):
        network = self.networks.get(registry)
        if q["op"] in MUTATING and network:
            return network.attempt(q, request)
        return request()


if __name__ == "__main__":
    StoredAdapter(sys.stdout).serve(sys.stdin)
