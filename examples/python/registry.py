#!/usr/bin/env python3
"""A single-activation actor registry in Python, and its adapter to the conformance suite.

    conform run --exec 'python3 examples/python/registry.py'

The upper half is the registry: one dictionary of records, one of nodes, and one lock around each
operation, so that every check and the write it allows are one atomic step. The lower half speaks
the suite's protocol (conformance/remote/PROTOCOL.md): JSON Lines, 64-bit numbers as strings.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

ACTIVE, FAILED, LEFT = 1, 2, 3  # node statuses; 0 means any in a listing
SUPERSEDE = 1


class Refused(Exception):
    """An error of the contract: the name of the reason, and the details that go with it."""

    def __init__(self, reason, text="", **detail):
        super().__init__(text or reason)
        self.answer = {"reason": reason, "text": text or reason, **detail}


class Registry:
    """The contract. Times are integers in nanoseconds; `now` is the reading of the caller's clock."""

    def __init__(self, config):
        self.config = config
        self.lock = threading.Lock()
        self.records = {}  # (namespace, name) -> record; never deleted
        self.nodes = {}  # id -> node; never deleted, so epochs are never reused

    # --- what a reading of a clock means for a record

    def lapsed(self, record, now):
        return now >= record["expiry"] + self.config["grace_ns"]

    def reclaimable(self, record, now):
        return now >= record["expiry"] + self.config["grace_ns"] + 2 * self.config["max_clock_skew_ns"]

    # --- guards

    def may_own(self, ref, now):
        """The node is registered and not failed."""
        node = self.nodes.get(ref[0])
        if node is None or ref[1] > node["epoch"]:
            raise Refused("ErrNodeUnknown", node=node, now=now)
        if ref[1] < node["epoch"] or node["status"] == FAILED:
            raise Refused("ErrNodeFailed", node=node, now=now)
        if node["status"] == LEFT:
            raise Refused("ErrNodeUnknown", node=node, now=now)
        return node

    def current(self, actor, holder, token, now):
        """The record, if (holder, token) is its tenure."""
        record = self.records.get(actor)
        if record is not None and token < record["token"]:
            raise Refused("ErrFenced", record=record, now=now)
        if record is None or token > record["token"] or record["holder"] != holder:
            raise Refused("ErrNotHeld", record=record, now=now)
        return record

    def grant(self, actor, holder, claim_id, now):
        """A new tenure: the one place where tokens are made."""
        old = self.records.get(actor, {"token": 0, "version": 0})
        record = {
            "actor": actor,
            "holder": holder,
            "token": old["token"] + 1,
            "version": old["version"] + 1,
            "expiry": now + self.config["ttl_ns"],
            "claim_id": claim_id,
        }
        self.records[actor] = record
        return record

    # --- operations of the registry

    def claim(self, now, actor, node, claim_id):
        with self.lock:
            record = self.records.get(actor)
            held = record is not None and record["holder"] is not None
            if held and record["holder"] == node and record["claim_id"] == claim_id and not self.lapsed(record, now):
                return record  # the repetition of the claim that began this tenure
            self.may_own(node, now)
            if held and not self.reclaimable(record, now):
                raise Refused("ErrHeld", record=record, now=now)
            return self.grant(actor, node, claim_id, now)

    def renew(self, now, actor, holder, token):
        with self.lock:
            record = self.current(actor, holder, token, now)
            if self.lapsed(record, now):
                raise Refused("ErrLapsed", record=record, now=now)
            record = dict(record, version=record["version"] + 1, expiry=max(record["expiry"], now + self.config["ttl_ns"]))
            self.records[actor] = record
            return record

    def release(self, now, actor, holder, token):
        with self.lock:
            record = self.records.get(actor)
            if record is not None and record["holder"] is None and record["token"] == token:
                return  # released already
            record = self.current(actor, holder, token, now)
            self.records[actor] = dict(record, holder=None, version=record["version"] + 1)

    def transfer(self, now, actor, holder, token, to):
        with self.lock:
            self.may_own(to, now)
            record = self.current(actor, holder, token, now)
            if now >= record["expiry"]:
                raise Refused("ErrLapsed", record=record, now=now)
            return self.grant(actor, to, None, now)

    def lookup(self, actor):
        with self.lock:
            return self.records.get(actor)

    def validate(self, actor, token):
        with self.lock:
            record = self.records.get(actor)
            if record is not None and token < record["token"]:
                raise Refused("ErrFenced", record=record)
            if record is None or token > record["token"] or record["holder"] is None:
                raise Refused("ErrNotHeld", record=record)

    def list_actors(self, holder, after, limit):
        with self.lock:
            rows = [(key, r) for key, r in self.records.items() if r["holder"] == holder]
        return page(rows, lambda key: key[0] + "\x00" + key[1], after, limit)

    # --- operations of the membership

    def register(self, now, node_id, address, mode):
        with self.lock:
            node = self.nodes.get(node_id)
            if node is not None and node["status"] == ACTIVE and mode != SUPERSEDE:
                raise Refused("ErrNodeExists", node=node, now=now)
            epoch = 1 if node is None else node["epoch"] + 1
            node = {"id": node_id, "epoch": epoch, "address": address, "status": ACTIVE, "last_seen": now}
            self.nodes[node_id] = node
            return node

    def heartbeat(self, now, ref):
        with self.lock:
            node = self.may_own(ref, now)
            self.nodes[ref[0]] = dict(node, last_seen=now)

    def mark_failed(self, now, ref):
        with self.lock:
            try:
                node = self.may_own(ref, now)
            except Refused as e:
                if e.answer["reason"] == "ErrNodeFailed":
                    return  # already, for good
                raise
            if now < node["last_seen"] + self.config["failure_timeout_ns"] + 2 * self.config["max_clock_skew_ns"]:
                raise Refused("ErrNodeAlive", node=node, now=now)
            self.nodes[ref[0]] = dict(node, status=FAILED)

    def deregister(self, ref):
        with self.lock:
            node = self.nodes.get(ref[0])
            if node is None or node["epoch"] != ref[1] or node["status"] == LEFT:
                raise Refused("ErrNodeUnknown", node=node)
            self.nodes[ref[0]] = dict(node, status=LEFT)

    def get_node(self, node_id):
        with self.lock:
            return self.nodes.get(node_id)

    def list_nodes(self, status, after, limit):
        with self.lock:
            rows = [(key, n) for key, n in self.nodes.items() if status in (0, n["status"])]
        return page(rows, lambda key: key, after, limit)


def page(rows, order, after, limit):
    """The rows after a cursor in one fixed order, and the next cursor; "" at the end."""
    rows = sorted(((order(key), row) for key, row in rows), key=lambda r: r[0].encode())
    rows = [r for r in rows if after == "" or r[0].encode() > after.encode()]
    more = len(rows) > limit
    rows = rows[:limit]
    return [row for _, row in rows], rows[-1][0] if more else ""


# --- the adapter


def invalid(field, problem):
    return Refused("ErrInvalid", problem, field=field)


def name(field, text, limit):
    size = len(text.encode())
    if size == 0:
        raise invalid(field, "is empty")
    if size > limit:
        raise invalid(field, f"has {size} bytes, the limit is {limit}")
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text):
        raise invalid(field, "has a control character")
    return text


def actor_of(request):
    a = request.get("actor") or {"namespace": "", "name": ""}
    return name("actor namespace", a["namespace"], 256), name("actor name", a["name"], 256)


def ref_of(request, field="node"):
    r = request.get(field) or {"id": "", "epoch": "0"}
    node_id, epoch = name("node id", r["id"], 128), int(r["epoch"])
    if epoch == 0:
        raise invalid("node epoch", "is 0")
    return node_id, epoch


def id_of(request):
    return name("node id", (request.get("node") or {"id": ""})["id"], 128)


def token_of(request):
    token = int(request.get("token", "0"))
    if token == 0:
        raise invalid("token", "is 0, which was never granted")
    return token


def claim_id_of(request):
    if not request.get("claim_id"):
        raise invalid("claim id", "is zero")
    return request["claim_id"]


def page_of(request):
    limit = request.get("limit", 0)
    if not 0 <= limit <= 1000:
        raise invalid("page limit", f"is {limit}, want 0 to 1000")
    return request.get("after", ""), limit or 100


def choice(request, field, last):
    value = request.get(field, 0)
    if not 0 <= value <= last:
        raise invalid(field, f"is {value}, the last is {last}")
    return value


def address_of(request):
    address = request.get("address", "")
    if len(address.encode()) > 1024:
        raise invalid("node address", "is longer than 1024 bytes")
    return address


def check_config(c):
    for field, label, least, most in (
        ("ttl_ns", "TTL", 1, 300 * 10**9),
        ("grace_ns", "Grace", 0, c["ttl_ns"]),
        ("max_clock_skew_ns", "MaxClockSkew", 0, c["ttl_ns"] // 4),
        ("failure_timeout_ns", "FailureTimeout", 2 * c["max_clock_skew_ns"] + 1, 86400 * 10**9),
    ):
        if not least <= c[field] <= most:
            raise invalid("config " + label, f"is {c[field]} ns, want {least} to {most}")


def record_out(r):
    if r is None:
        return None
    out = {
        "actor": {"namespace": r["actor"][0], "name": r["actor"][1]},
        "token": str(r["token"]),
        "version": str(r["version"]),
        "expiry": str(r["expiry"]),
    }
    if r["holder"]:
        out["holder"] = {"id": r["holder"][0], "epoch": str(r["holder"][1])}
    if r["claim_id"]:
        out["claim_id"] = r["claim_id"]
    return out


def node_out(n):
    if n is None:
        return None
    return {
        "ref": {"id": n["id"], "epoch": str(n["epoch"])},
        "address": n["address"],
        "status": n["status"],
        "last_seen": str(n["last_seen"]),
    }


# Each operation first reads all its arguments, in the contract's order, and then asks the registry:
# a request that is invalid touches nothing.
def claim(g, q, now):
    actor, node, claim_id = actor_of(q), ref_of(q), claim_id_of(q)
    return lambda: {"record": record_out(g.claim(now, actor, node, claim_id))}


def renew(g, q, now):
    actor, holder, token = actor_of(q), ref_of(q), token_of(q)
    return lambda: {"record": record_out(g.renew(now, actor, holder, token))}


def release(g, q, now):
    actor, holder, token = actor_of(q), ref_of(q), token_of(q)
    return lambda: g.release(now, actor, holder, token) or {}


def transfer(g, q, now):
    actor, holder, token, to = actor_of(q), ref_of(q), token_of(q), ref_of(q, "to")
    return lambda: {"record": record_out(g.transfer(now, actor, holder, token, to))}


def lookup(g, q, _):
    actor = actor_of(q)

    def run():
        record = g.lookup(actor)
        return {"found": record is not None, "record": record_out(record)}

    return run


def validate(g, q, _):
    actor, token = actor_of(q), token_of(q)
    return lambda: g.validate(actor, token) or {}


def list_actors(g, q, _):
    node, (after, limit) = ref_of(q), page_of(q)

    def run():
        rows, following = g.list_actors(node, after, limit)
        return {"records": [record_out(r) for r in rows], "next": following}

    return run


def register(g, q, now):
    node_id, address, mode = id_of(q), address_of(q), choice(q, "mode", 1)
    return lambda: {"node": node_out(g.register(now, node_id, address, mode))}


def heartbeat(g, q, now):
    ref = ref_of(q)
    return lambda: g.heartbeat(now, ref) or {}


def mark_failed(g, q, now):
    ref = ref_of(q)
    return lambda: g.mark_failed(now, ref) or {}


def deregister(g, q, _):
    ref = ref_of(q)
    return lambda: g.deregister(ref) or {}


def get_node(g, q, _):
    node_id = id_of(q)

    def run():
        node = g.get_node(node_id)
        return {"found": node is not None, "node": node_out(node)}

    return run


def list_nodes(g, q, _):
    status, (after, limit) = choice(q, "status", 3), page_of(q)

    def run():
        rows, following = g.list_nodes(status, after, limit)
        return {"nodes": [node_out(n) for n in rows], "next": following}

    return run


OPERATIONS = {
    "Claim": claim, "Renew": renew, "Release": release, "Transfer": transfer, "Lookup": lookup, "Validate": validate,
    "ListActors": list_actors, "RegisterNode": register, "Heartbeat": heartbeat, "MarkFailed": mark_failed,
    "DeregisterNode": deregister, "GetNode": get_node, "ListNodes": list_nodes,
}


class Adapter:
    """Clusters, handles, and one line out for every line in."""

    greeting = {"version": 1, "name": "python-example"}

    def __init__(self, out):
        self.out = out
        self.writing = threading.Lock()
        self.clusters = {}
        self.handles = {}  # name -> registry; None once closed

    def send(self, message):
        with self.writing:
            self.out.write(json.dumps(message) + "\n")
            self.out.flush()

    def open(self, q):
        check_config(q["config"])
        registry = self.clusters[q["cluster"]]
        for field, label in (("ttl_ns", "TTL"), ("grace_ns", "Grace"), ("max_clock_skew_ns", "MaxClockSkew"), ("failure_timeout_ns", "FailureTimeout")):
            have, given = registry.config[field], q["config"][field]
            if have != given:
                raise Refused("ErrConfigMismatch", field=label, store_ns=have, given_ns=given)
        self.handles[q["handle"]] = registry

    def control(self, q):
        """The operations about clusters and handles; they are carried out in the order of the lines."""
        if q["op"] == "New":
            self.clusters[q["cluster"]] = Registry(q["config"])
        elif q["op"] == "Drop":
            del self.clusters[q["cluster"]]
        elif q["op"] == "Open":
            self.open(q)
        elif q["op"] == "Close":
            self.handles[q["handle"]] = None
        else:
            return False
        return True

    def operate(self, q):
        registry = self.handles[q["handle"]]
        prepare = OPERATIONS[q["op"]]
        run = prepare(registry, q, int(q["now"]))  # invalid comes first
        if registry is None:
            raise Refused("ErrClosed", "handle is closed")
        if q.get("ended"):
            raise Refused(q["ended"], "the caller's context is done")
        return self.carry_out(q, registry, run)

    def carry_out(self, q, registry, request):
        return request()

    def answer(self, q, work):
        try:
            message = work(q) or {}
        except Refused as e:
            error = dict(e.answer)
            error["record"], error["node"] = record_out(error.get("record")), node_out(error.get("node"))
            error["now"] = str(error.get("now", 0))
            message = {"error": {k: v for k, v in error.items() if v is not None}}
        if q.get("fault"):
            message["fault"] = q["fault"]
        if isinstance(message, dict):
            self.send({"id": q["id"], **{k: v for k, v in message.items() if v is not None}})

    def serve(self, lines):
        self.send({"protocol": "kelpie-registry", "time": "passed", **self.greeting})
        with ThreadPoolExecutor(max_workers=64) as pool:
            for line in lines:
                q = json.loads(line)
                if q["op"] == "Cancel":
                    continue  # nothing here waits
                if "cluster" in q or q["op"] == "Close":
                    self.answer(q, lambda q: self.control(q) and {})
                else:
                    pool.submit(self.answer, q, self.operate)


if __name__ == "__main__":
    Adapter(sys.stdout).serve(sys.stdin)
