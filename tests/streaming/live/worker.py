"""A member of the group in a process of its own, to be killed: `python worker.py ADDRESS PREFIX BATCH`."""

import sys

from workbench.settings import KafkaBroker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.live.service import Service
from workbench.streaming.processors.windows import Windows

if __name__ == "__main__":
    address, prefix, batch = sys.argv[1:4]
    with KafkaCluster(KafkaBroker(bootstrap_servers=address, topic_prefix=prefix, partitions=4)) as broker:
        Service(broker, [Windows()], "live", batch=int(batch), batch_s=0.1, say=print).run(idle_s=3600)
