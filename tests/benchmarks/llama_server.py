"""llama-server's own core (`xllamacpp`) in a process of its own: a peer of the service.

Its arguments: the file of weights, the port, and how many it answers at once.
"""

import os
import sys
import threading

import xllamacpp

from tests.benchmarks.processes import DECODE_CORE, pin

#: Tokens that each of its slots has; the service's requests share a pool of as many for each.
TOKENS_PER_SLOT = 2048


def main() -> None:
    path, port, slots = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.port = port
    params.n_parallel = slots
    params.n_ctx = slots * TOKENS_PER_SLOT
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.fit_params = False
    params.endpoint_metrics = False
    server = xllamacpp.Server(params)
    pin(os.getpid(), DECODE_CORE)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
