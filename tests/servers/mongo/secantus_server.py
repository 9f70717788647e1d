"""SecantusDB as a one-member replica set.  secantus.py PORT DIR|:memory: [--set rs1] [--sync] [--nolock] [--ttl S]
[--fault COMMAND=election|lost|cut]...  each befalls the next such command of a transaction, once: the server is no primary
any more; the connection ends before it is done, or after it. It prints `fault COMMAND=…` then.
"""
import argparse, signal, threading
from secantus import SecantusDBServer, server as srv
from secantus.failpoints import CloseConnectionRequested
p = argparse.ArgumentParser()
p.add_argument("port", type=int); p.add_argument("path"); p.add_argument("--set", default="rs1")
p.add_argument("--sync", action="store_true"); p.add_argument("--nolock", action="store_true"); p.add_argument("--ttl", type=float, default=60.0)
p.add_argument("--fault", action="append", default=[])
a = p.parse_args()
if not a.nolock:
    # One write at a time: 0.7.0b3 answers value:null to the loser of two concurrent upserting
    # findAndModify of one new _id, and threads that write one document back off against each other.
    # A command inside a transaction, commit and abort don't take the lock, else they could wait for each other.
    lock, plain = threading.Lock(), srv.dispatch
    def dispatch(doc, ctx):
        if next(iter(doc)).lower() in ("insert", "update", "delete", "findandmodify") and "autocommit" not in doc:
            with lock:
                return plain(doc, ctx)
        return plain(doc, ctx)
    srv.dispatch = dispatch
if a.fault:
    inner, faults = srv.dispatch, threading.Lock()
    def faulty(doc, ctx):
        command = next(iter(doc))
        with faults:
            fault = a.fault.pop(0) if a.fault and "autocommit" in doc and a.fault[0].startswith(command + "=") else ""
        if not fault:
            return inner(doc, ctx)
        print("fault", fault, flush=True)
        kind = fault.partition("=")[2]
        if kind == "election":
            # The old primary knows nothing of the transaction; commits may be tried again as they are.
            labels = ["RetryableWriteError" if command == "commitTransaction" else "TransientTransactionError"]
            return {"ok": 0.0, "errmsg": "not primary", "code": 10107, "codeName": "NotWritablePrimary", "errorLabels": labels}
        if kind == "cut":
            inner(doc, ctx)
        raise CloseConnectionRequested
    srv.dispatch = faulty
stop = threading.Event()
for s in (signal.SIGTERM, signal.SIGINT):
    signal.signal(s, lambda *_: stop.set())
with SecantusDBServer(host="127.0.0.1", port=a.port, storage_path=a.path, replica_set_name=a.set, sync_on_commit=a.sync, ttl_sweep_seconds=a.ttl):
    print(f"ready mongodb://127.0.0.1:{a.port}/?replicaSet={a.set}", flush=True)
    stop.wait()
