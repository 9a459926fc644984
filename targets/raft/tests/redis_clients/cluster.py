import sys
import time

import redis
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException

port, protocol = map(int, sys.argv[1:])
cluster = RedisCluster(host="127.0.0.1", port=port, protocol=protocol, decode_responses=True)
assert cluster.set("k", "v") is True
assert cluster.get("k") == "v"
assert cluster.get("none") is None
assert cluster.set("k", "w", nx=True) is None
assert cluster.set("k", "w", get=True) == "v"
assert cluster.incr("n") == 1 and cluster.decrby("n", 3) == -2
assert cluster.append("s", "ab") == 2 and cluster.strlen("s") == 2
assert cluster.mset({"{t}a": "1", "{t}b": "2"})
assert cluster.mget("{t}a", "{t}b", "{t}c") == ["1", "2", None]
assert cluster.exists("k", "none") == 1 and cluster.delete("s") == 1
with cluster.pipeline() as pipeline:
    for number in range(100):
        pipeline.set(f"p{number}", number)
    assert all(pipeline.execute())
try:
    cluster.incr("k")
    raise AssertionError("a text is no number")
except redis.ResponseError as error:
    assert "not an integer" in str(error)
assert len(cluster.get_nodes()) == 3
print("served", flush=True)

sys.stdin.readline()
deadline = time.monotonic() + 60
while True:
    try:
        assert cluster.set("after", "1")
        assert cluster.get("p42") == "42"
        break
    except (redis.RedisError, RedisClusterException):
        if time.monotonic() > deadline:
            raise
        time.sleep(0.05)
print("served again", flush=True)
