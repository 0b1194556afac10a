#!/usr/bin/env python3
"""A client that keeps leases, in Python, and its adapter to the suite of clients.

    conform client --exec 'python3 examples/pythonclient/client.py'

Keeper is the client: one thread for each actor claims it, serves it, renews the lease and stops in time.
Registry is its access to the registry, here over the suite's pipes (conformance/client/process/PROTOCOL.md).
"""

import itertools
import json
import os
import queue
import random
import sys
import threading
import time

OVER = ("ErrFenced", "ErrNotHeld", "ErrLapsed")  # a tenure that was refused so never comes back


class Failed(Exception):
    """A call that was refused, or has no answer (reason "Timeout")."""

    def __init__(self, reason, detail=None):
        super().__init__(reason)
        self.reason, self.detail = reason, detail or {}


class Registry:
    """The registry at the other end of the pipes. A call has an answer within its timeout, or none."""

    def __init__(self, out):
        self.out, self.lock = out, threading.Lock()
        self.ids, self.waiting = itertools.count(1), {}

    def say(self, **line):
        with self.lock:
            self.out.write(json.dumps(line) + "\n")
            self.out.flush()

    def call(self, op, timeout, **arguments):
        answers, number = queue.Queue(1), next(self.ids)
        self.waiting[number] = answers
        self.say(id=number, op=op, timeout_ns=int(timeout * 1e9), **arguments)
        try:
            answer = answers.get(timeout=timeout)
        except queue.Empty:
            raise Failed("Timeout") from None
        finally:
            self.waiting.pop(number, None)
        if "error" in answer:
            raise Failed(answer["error"]["reason"], answer["error"])
        return answer

    def answered(self, answer):
        waiting = self.waiting.get(answer["id"])
        if waiting is not None:
            waiting.put(answer)


class Keeper:
    """Keeps the leases of one node. Times are seconds; readings of the clock are nanoseconds."""

    def __init__(self, registry, node, config):
        self.registry, self.node_id = registry, node
        self.ttl = config["ttl_ns"] / 1e9
        self.reclaim_ns = config["grace_ns"] + 2 * config["max_clock_skew_ns"]
        self.timeout = self.ttl / 6
        self.ref, self.ended, self.wishes = None, threading.Event(), {}
        instance = os.urandom(16).hex()
        while self.ref is None:  # repeated under one instance: the same registration
            try:
                answer = registry.call("RegisterNode", self.timeout, node={"id": node, "epoch": "0"}, mode=1, instance=instance)
                self.ref = answer["node"]["ref"]
            except Failed:
                time.sleep(self.ttl / 30)
        threading.Thread(target=self.beat, args=(config["failure_timeout_ns"] / 3e9,), daemon=True).start()

    def beat(self, every):
        while not self.ended.wait(every):
            try:
                self.registry.call("Heartbeat", self.timeout, node=self.ref)
            except Failed as failed:
                if failed.reason in ("ErrNodeFailed", "ErrNodeUnknown"):  # superseded, or marked failed
                    self.close()

    def want(self, actor):
        wish = threading.Event()  # set when the actor is wanted no longer
        thread = threading.Thread(target=self.keep, args=(actor, wish), daemon=True)
        self.wishes[actor["namespace"], actor["name"]] = wish, thread
        thread.start()

    def drop(self, actor):
        wish, thread = self.wishes.pop((actor["namespace"], actor["name"]), (None, None))
        if wish is not None:
            wish.set()
            thread.join()
        self.registry.say(dropped=actor)

    def close(self):
        self.ended.set()
        for wish, thread in list(self.wishes.values()):
            wish.set()
            thread.join()

    def keep(self, actor, wish):
        """Claims and serves the actor until the wish is over."""
        claim = os.urandom(16).hex()
        while not wish.is_set():
            sent = time.time_ns()  # before the request leaves
            try:
                record = self.registry.call("Claim", self.timeout, actor=actor, node=self.ref, claim_id=claim)["record"]
            except Failed as failed:
                wish.wait(self.pause(failed))
                continue  # under the same claim id: one grant, however many answers get lost
            self.serve(actor, record, self.deadline(sent, record), wish)
            claim = os.urandom(16).hex()

    def pause(self, failed):
        """How long to wait before the next claim: for the lease's end where it is known, and a random while."""
        wait = self.ttl / 30
        if failed.reason == "ErrHeld":
            free = int(failed.detail["record"]["expiry"]) + self.reclaim_ns
            wait = min(max((free - time.time_ns()) / 1e9, 0), self.ttl / 4)
        return wait + random.random() * self.ttl / 10

    def deadline(self, sent, record):
        """The reading at which the work stops: a little before the earlier of the two ends that are known."""
        return min(sent + int(self.ttl * 1e9), int(record["expiry"])) - int(self.ttl * 1e9 / 10)

    def serve(self, actor, record, deadline, wish):
        """Serves under the lease and renews it. The work has stopped when it returns."""
        if time.time_ns() >= deadline:
            return  # the answer came too late
        tenure = {"actor": actor, "token": record["token"]}
        lease = {"actor": actor, "node": record["holder"], "token": record["token"]}
        self.registry.say(serves=tenure)
        renewed = queue.Queue()
        due, why, asking = time.time_ns() + int(self.ttl * 1e9 / 3), "", False
        while not wish.is_set():
            now = time.time_ns()
            if now >= deadline:
                why = "the lease was not renewed in time"
                break
            if now >= due and not asking:  # in a thread of its own: this one watches the clock
                asking = True
                threading.Thread(target=self.renew, args=(lease, now, renewed), daemon=True).start()
            try:
                outcome = renewed.get(timeout=min(0.02, (deadline - now) / 1e9))
            except queue.Empty:
                continue
            asking = False
            if isinstance(outcome, str):
                due = time.time_ns() + int(self.ttl * 1e9 / 30)
                if outcome in OVER:
                    why = outcome
                    break
            else:
                deadline, due = max(deadline, outcome), time.time_ns() + int(self.ttl * 1e9 / 3)
        if why:
            self.registry.say(stops=tenure, why=why)
            return
        self.registry.say(stops=tenure)  # before the release is asked for
        self.release(lease)

    def renew(self, lease, sent, renewed):
        try:
            record = self.registry.call("Renew", self.timeout, **lease)["record"]
            renewed.put(self.deadline(sent, record))
        except Failed as failed:
            renewed.put(failed.reason)

    def release(self, lease):
        for _ in range(3):
            try:
                self.registry.call("Release", self.timeout, **lease)
                return
            except Failed as failed:
                if failed.reason in OVER:
                    return
                time.sleep(self.ttl / 30)


def main():
    registry = Registry(sys.stdout)
    registry.say(protocol="kelpie-client", version=1, name="python-example")
    hello = json.loads(sys.stdin.readline())
    todo = queue.Queue()

    def listen():  # answers are taken at once, whatever is being done
        for line in sys.stdin:
            order = json.loads(line)
            registry.answered(order) if "id" in order else todo.put(order)
        todo.put({"close": True})

    threading.Thread(target=listen, daemon=True).start()
    keeper = Keeper(registry, hello["node_id"], hello["config"])
    while True:
        order = todo.get()
        if "want" in order:
            keeper.want(order["want"])
        elif "drop" in order:
            threading.Thread(target=keeper.drop, args=(order["drop"],), daemon=True).start()
        else:
            keeper.close()
            return


if __name__ == "__main__":
    main()
